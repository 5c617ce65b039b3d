/**
 * The engine's start epoch and a number that rises within it; never reused (architecture 5).
 * `sequence` stays below 2^53. From 2^52 on it is that of a report (`reportId`).
 */
export interface MessageId {
  readonly epoch: number;
  readonly sequence: number;
}

/** The form used in trace headers, logs and commands: `1f.2a9` (hexadecimal epoch and sequence). */
export function formatMessageId(id: MessageId): string {
  return `${id.epoch.toString(16)}.${id.sequence.toString(16)}`;
}

export function parseMessageId(text: string): MessageId | undefined {
  const match = /^([0-9a-f]{1,8})\.([0-9a-f]{1,14})$/.exec(text);
  if (match === null) return undefined;
  return { epoch: Number.parseInt(match[1]!, 16), sequence: Number.parseInt(match[2]!, 16) };
}

const reportBit = 2 ** 52;
const indexUnit = 2 ** 36;
const indexMax = 2 ** 16;

/**
 * The id of the report of a failed recipient (architecture 5, Outcomes): from it everyone sees whose it is.
 * `1f.2a9`, recipient 3, gives `1f.100030000002a9`. undefined: the message's own number leaves no room for
 * it, as those of reports.
 */
export function reportId({ epoch, sequence }: MessageId, recipientIndex: number): MessageId | undefined {
  if (sequence >= indexUnit || recipientIndex >= indexMax) return undefined;
  return { epoch, sequence: reportBit + recipientIndex * indexUnit + sequence };
}

/** The first recipient a report speaks of; undefined: no id of a report. */
export function reportedBy({ epoch, sequence }: MessageId): { id: MessageId; index: number } | undefined {
  if (sequence < reportBit) return undefined;
  const index = Math.floor((sequence - reportBit) / indexUnit);
  return { id: { epoch, sequence: sequence % indexUnit }, index };
}
