/** A command line: verb and argument (RFC 5321 2.4, 4.1.1). Which verbs exist is the session's matter. */

/** RFC 5321 4.5.3.1.4 asks for 512 octets with CRLF; extensions lengthen lines, so we read up to this. */
export const commandLineOctets = 2048;

export interface Command {
  /** Upper case, '' for an empty line. */
  readonly verb: string;
  /** What follows the first space, without spaces at either end. */
  readonly argument: string;
}

/**
 * `bareCr`: a CR that ends no line. `control`: NUL or another control character.
 * `notUtf8`: octets over 127 that are no UTF-8 (RFC 6531 3.3).
 */
export type CommandFault = 'bareCr' | 'control' | 'notUtf8';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** `line` has no CRLF. The caller has found the line's end: only CRLF is one (RFC 5321 2.3.8). */
export function parseCommand(line: Uint8Array): Command | CommandFault {
  let octetsSeen = 0;
  for (let at = 0; at < line.length; at++) {
    const octet = line[at]!;
    octetsSeen |= octet;
    if (octet < 0x20 || octet === 0x7f) return octet === 0x0d ? 'bareCr' : 'control';
  }
  const text = utf8.decode(line);
  if (octetsSeen < 0x80) return split(text);
  // U+FFFD given as such is refused too: nobody can have meant it. C1 controls are controls.
  if (text.includes('\ufffd')) return 'notUtf8';
  return /[\x80-\x9f]/.test(text) ? 'control' : split(text);
}

function split(text: string): Command {
  const space = text.indexOf(' ');
  if (space < 0) return { verb: text.toUpperCase(), argument: '' };
  return { verb: text.slice(0, space).toUpperCase(), argument: text.slice(space + 1).trim() };
}
