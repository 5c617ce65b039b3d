import type { Origin } from './config.ts';
import type { Finding } from './finding.ts';

/** The optional parts of a finding: how many characters the caret underlines, what to do about it. */
export interface Saying {
  readonly underline?: number;
  readonly fix?: string;
  readonly refusesRun?: boolean;
}

export function sayError(code: string, message: string, origin: Origin | undefined, more?: Saying): Finding {
  return say('error', code, message, origin, more);
}

export function sayWarning(
  code: string,
  message: string,
  origin: Origin | undefined,
  more?: Saying,
): Finding {
  return say('warning', code, message, origin, more);
}

export function sayNotice(code: string, message: string, origin: Origin | undefined, more?: Saying): Finding {
  return say('notice', code, message, origin, more);
}

/** What stands on the line from there on, its comment left out. */
export function writtenAt(origin: Origin): string {
  return origin.text.slice(origin.column - 1).replace(/\s*(#.*)?$/, '');
}

/** `line 14`, or `config:14` where that is another file: for naming a line inside a message. */
export function placeOf(origin: Origin, from: Origin | undefined): string {
  return origin.file === from?.file ? `line ${origin.line}` : `${origin.file}:${origin.line}`;
}

function say(
  level: Finding['level'],
  code: string,
  message: string,
  origin: Origin | undefined,
  more: Saying = {},
): Finding {
  const room = origin === undefined ? 0 : Math.max(0, origin.text.length - origin.column + 1);
  return {
    level,
    code,
    message,
    origin,
    underline: Math.min(more.underline ?? 0, room),
    fix: more.fix ?? '',
    refusesRun: more.refusesRun ?? false,
  };
}
