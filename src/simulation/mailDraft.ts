import { contentHash } from './mailContent.ts';
import type { SeededRandom } from './seededRandom.ts';

/** A message that a modelled client is about to submit. */
export interface MailDraft {
  readonly number: number;
  /** Unlike that of any other draft; '' is the null reverse-path. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines end in CRLF; may be empty. */
  readonly content: Uint8Array;
  readonly contentHash: string;
}

export interface DraftOptions {
  readonly mark: string;
  readonly domains: readonly string[];
  readonly maxRecipients: number;
  readonly largeRate: number;
}

const encoder = new TextEncoder();
const lf = 10;

/** What is hard to carry: dots, long lines, lines that look like commands, octets over 127, empty lines. */
const body = encoder.encode(
  [
    '.',
    '..',
    '.MAIL FROM:<not@a.command>',
    'QUIT',
    '',
    '',
    'x'.repeat(998),
    'grüße, 世界',
    '...and more',
    ' .',
    '.\t',
    'From here on',
    'plain text, as most of it is '.repeat(3),
    'plain text, as most of it is '.repeat(10),
    '. ',
  ]
    .map((line) => `${line}\r\n`)
    .join(''),
);

/** Recipients are unlike those of any other draft; all are of one domain or, now and then, of several. */
export function draftMessage(number: number, options: DraftOptions, random: SeededRandom): MailDraft {
  const { mark, domains, maxRecipients, largeRate } = options;
  const id = `${mark}${number}`;
  const domain = random.pick(domains);
  const isMixed = random.oneIn(4);
  const recipients = Array.from(
    { length: 1 + random.below(maxRecipients) },
    (_, i) => `${id}-${i}@${isMixed ? random.pick(domains) : domain}`,
  );
  const content = contentOf(id, sizeOf(largeRate, random), random);
  // Now and then one that nobody is to be told of.
  const sender = random.oneIn(8) ? '' : `${id}@${random.pick(domains)}`;
  return { number, sender, recipients, content, contentHash: contentHash(content) };
}

function sizeOf(largeRate: number, random: SeededRandom): number {
  if (random.chance(largeRate)) return 1024 * 1024 + random.below(512 * 1024);
  const kind = random.below(20);
  if (kind === 0) return 0;
  return random.below(kind < 14 ? 3_000 : kind < 19 ? 20_000 : 60_000);
}

/** At most `sizeBytes`, and a header in any case unless that is zero. */
function contentOf(id: string, sizeBytes: number, random: SeededRandom): Uint8Array {
  if (sizeBytes === 0) return new Uint8Array(0);
  const header = encoder.encode(
    `From: <${id}@sender.test>\r\nMessage-ID: <${id}@sender.test>\r\nSubject: ${id}\r\n\r\n`,
  );
  const bytes = new Uint8Array(Math.max(sizeBytes, header.length));
  bytes.set(header);
  let at = header.length;
  let from = body.indexOf(lf, random.below(body.length - 1)) + 1;
  while (at < bytes.length) {
    const part = body.subarray(from, from + bytes.length - at);
    bytes.set(part, at);
    at += part.length;
    from = 0;
  }
  return bytes.subarray(0, bytes.lastIndexOf(lf) + 1);
}
