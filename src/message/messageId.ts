/**
 * The engine's start epoch and a number that rises within it; never reused (architecture 5).
 * `sequence` stays below 2^48.
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
  const match = /^([0-9a-f]{1,8})\.([0-9a-f]{1,12})$/.exec(text);
  if (match === null) return undefined;
  return { epoch: Number.parseInt(match[1]!, 16), sequence: Number.parseInt(match[2]!, 16) };
}
