import { formatDateTime } from '../../protocol/dateTime.ts';
import { SeededRandom } from '../../simulation/seededRandom.ts';
import { withCrlf } from '../testMessage.ts';
import { destinations, type Job, type Stream, streams } from './scene.ts';

export interface DemoMessage {
  readonly stream: Stream;
  readonly job: Job;
  /** The only recipient; no two messages share one. */
  readonly to: string;
  readonly number: number;
}

/** The same messages for the same seed; those of a smaller count are the first of a larger. */
export function demoMessages(count: number, seed: number): readonly DemoMessage[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const stream = pick(random, streams);
    const { isp } = pick(random, destinations);
    return { stream, job: pick(random, stream.jobs), to: `r${seed}-${i + 1}@${isp.domain}`, number: i + 1 };
  });
}

function pick<T extends { readonly weight: number }>(random: SeededRandom, from: readonly T[]): T {
  let at = random.below(from.reduce((sum, { weight }) => sum + weight, 0));
  return from.find(({ weight }) => {
    at -= weight;
    return at < 0;
  })!;
}

/** Its content; the signature has the form of one (RFC 6376) and verifies nowhere. */
export function demoContent({ job, to, number }: DemoMessage, nowMs: number): Uint8Array {
  const header = [
    `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=${job.signer}; s=demo;`,
    '\th=from:to:subject:date; bh=ZGVtbyBib2R5IGhhc2ggb2YgMzIgb2N0ZXRzIQ==;',
    '\tb=bm90IGEgc2lnbmF0dXJlLCB0aGlzIGlzIGEgZGVtbw==',
    `From: <${job.from}>`,
    `To: <${to}>`,
    `Date: ${formatDateTime(nowMs, 0)}`,
    `Message-ID: <${job.name}.${number}@${job.signer}>`,
    `Subject: ${job.subject}`,
    `X-Job: ${job.name}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
  ];
  return withCrlf(new TextEncoder().encode(`${header.join('\n')}\n\nMessage ${number} of the demo.\n`));
}
