import type { Content, Envelope, SpoolLocation } from '../message/envelope.ts';
import type { MessageId } from '../message/messageId.ts';
import type { BodyPlace, SnapshotRecipient } from './record.ts';
import type { Snapshot } from './snapshot.ts';

/** A message that still owes something. */
export interface OwedMessage {
  readonly id: MessageId;
  readonly location: SpoolLocation;
  /** Known: its content is copied as it is, and said to be damaged. */
  readonly isDamaged: boolean;
}

/** Whoever knows what is owed: asked when a segment's messages are to be copied forward. */
export interface OwedMail {
  /** Every message of that segment with a recipient for whom no outcome was put. */
  owedIn(segment: number): readonly OwedMessage[];
  /** For each: those recipients, as of now. None: nothing is owed of it any more. */
  recipientsOf(messages: readonly OwedMessage[]): readonly (readonly SnapshotRecipient[])[];
  /** It lies there from now on. */
  moved(message: OwedMessage, to: SpoolLocation): void;
  /** It fails its checksum: it must be held. */
  damaged(message: OwedMessage): void;
}

/** A message as it lies on disk. */
export interface ReadMessage {
  readonly envelope: Envelope;
  readonly body: Content | BodyPlace;
  readonly isDamaged: boolean;
}

export interface CopyPorts {
  /** undefined: it is damaged. Rejects with the disk's error. */
  read(message: OwedMessage): Promise<ReadMessage | undefined>;
  put(snapshot: Snapshot): void;
  /** Nothing may be put any more. */
  isClosing(): boolean;
  /** How many recipients of the segment a copy must hold. */
  ungiven(segment: number): number;
}

/** Copied at a time, so that what is copied never crowds out what comes in. */
const chunkBytes = 1024 * 1024;
const chunkMessages = 200;

/**
 * Puts a snapshot of every message of the segment that owes anything into the spool (architecture 5,
 * Reclaiming). False: not all of them are durable elsewhere; nothing is lost, it is tried again later.
 */
export async function copyForward(segment: number, mail: OwedMail, ports: CopyPorts): Promise<boolean> {
  const messages = mail.owedIn(segment);
  const recipients = mail.recipientsOf(messages).reduce((sum, owed) => sum + owed.length, 0);
  // A snapshot replaces what is known of its message: one that forgets a recipient would lose it.
  if (recipients !== ports.ungiven(segment)) return false;
  for (let from = 0; from < messages.length; ) {
    const chunk: { readonly message: OwedMessage; readonly read: ReadMessage }[] = [];
    for (
      let bytes = 0;
      from < messages.length && chunk.length < chunkMessages && bytes < chunkBytes;
      from++
    ) {
      const message = messages[from]!;
      const read = await ports.read(message);
      if (read === undefined) {
        mail.damaged(message);
        return false;
      }
      chunk.push({ message, read });
      bytes += read.body.sizeBytes;
    }
    if (ports.isClosing()) return false;
    const owed = mail.recipientsOf(chunk.map(({ message }) => message));
    const moves = chunk.map(({ message, read }, i) => putSnapshot(message, read, owed[i]!, mail, ports));
    if (!(await Promise.all(moves)).every(Boolean)) return false;
  }
  return true;
}

function putSnapshot(
  message: OwedMessage,
  { envelope, body, isDamaged }: ReadMessage,
  owed: readonly SnapshotRecipient[],
  mail: OwedMail,
  ports: CopyPorts,
): Promise<boolean> {
  if (owed.length === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    ports.put({
      envelope,
      body,
      isDamaged,
      owed,
      from: message.location.segment,
      moved: (to) => {
        if (to !== undefined) mail.moved(message, to);
        resolve(to !== undefined);
      },
    });
  });
}
