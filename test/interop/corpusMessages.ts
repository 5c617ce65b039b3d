import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Real mail, kept beside the project. */
const corpus = '../shared/corpus';
const folders = ['mime', 'bounces'].map((name) => join(corpus, name));

export interface CorpusMessage {
  /** Its path within the corpus. */
  readonly name: string;
  /** With CRLF made of bare LF, and one at the end. */
  readonly content: Buffer;
  /** What RFC 5322 2.1.1 and 2.3 forbid in it; undefined: nothing. */
  readonly lineFault: LineFault | undefined;
  /** Its first line is an mbox separator (`From ...`), which is no header field. */
  readonly hasMboxLine: boolean;
}

/** In the words of the documented reply. */
export interface LineFault {
  readonly what: 'NUL octet' | 'bare CR' | 'bare LF' | 'more than 998 octets';
  /** From 1. */
  readonly line: number;
}

/** Why the corpus cannot be read, said aloud; undefined when it can. */
export function missingCorpus(): string | undefined {
  if (folders.every((folder) => existsSync(folder))) return undefined;
  process.stderr.write(`\n*** SKIPPED: no ${folders.join(', ')}\n`);
  return 'the corpus is missing';
}

export function corpusMessages(): CorpusMessage[] {
  return folders.flatMap(emlFiles).map((path) => {
    const text = readFileSync(path, 'latin1').replace(/(?<!\r)\n/g, '\r\n');
    const content = Buffer.from(text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1');
    return {
      name: path.slice(corpus.length + 1),
      content,
      lineFault: lineFaultOf(content),
      hasMboxLine: text.startsWith('From '),
    };
  });
}

function emlFiles(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.eml'))
    .sort()
    .map((name) => join(folder, name));
}

/** The first fault, octet by octet: written apart from the product, to judge it. */
export function lineFaultOf(content: Buffer): LineFault | undefined {
  let line = 1;
  let lineOctets = 0;
  for (let i = 0; i < content.length; i++) {
    const octet = content[i]!;
    if (octet === 0x0d && content[i + 1] === 0x0a) {
      line++;
      lineOctets = 0;
      i++;
      continue;
    }
    if (octet === 0x00) return { what: 'NUL octet', line };
    if (octet === 0x0d) return { what: 'bare CR', line };
    if (octet === 0x0a) return { what: 'bare LF', line };
    if (++lineOctets > 998) return { what: 'more than 998 octets', line };
  }
  return undefined;
}
