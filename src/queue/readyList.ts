import { none, type RecipientTable } from './columns.ts';
import type { Queue } from './queue.ts';

/*
 * A queue's ready list: first come, first served, except that the recipients of one message stand side
 * by side so that they go out in one transaction. A recipient that becomes ready joins its message.
 */

/** At the end of the list, or at its front: where mail goes back that was taken but not attempted. */
export function joinReady(
  recipients: RecipientTable,
  queue: Queue,
  slot: number,
  where: 'front' | 'back',
): void {
  const message = recipients.message[slot]!;
  const siblings = recipients.hasSiblings[slot] === 1;
  const sibling = siblings ? queue.lastReady?.get(message) : undefined;
  if (sibling === undefined) queue.readyMessages++;
  queue.ready++;
  insertAfter(recipients, queue, slot, sibling ?? (where === 'back' ? queue.readyTail : none));
  if (siblings) {
    queue.lastReady ??= new Map();
    queue.lastReady.set(message, slot);
  }
}

export function leaveReady(recipients: RecipientTable, queue: Queue, slot: number): void {
  const next = recipients.next[slot]!;
  const previous = recipients.previous[slot]!;
  if (previous === none) queue.readyHead = next;
  else recipients.next[previous] = next;
  if (next === none) queue.readyTail = previous;
  else recipients.previous[next] = previous;
  queue.ready--;

  const message = recipients.message[slot]!;
  if (recipients.hasSiblings[slot] === 0) {
    queue.readyMessages--;
  } else if (queue.lastReady!.get(message) === slot) {
    if (previous !== none && recipients.message[previous] === message) {
      queue.lastReady!.set(message, previous);
    } else {
      queue.lastReady!.delete(message);
      queue.readyMessages--;
    }
  }
}

/** `previous` none: at the head. */
function insertAfter(recipients: RecipientTable, queue: Queue, slot: number, previous: number): void {
  const next = previous === none ? queue.readyHead : recipients.next[previous]!;
  recipients.previous[slot] = previous;
  recipients.next[slot] = next;
  if (previous === none) queue.readyHead = slot;
  else recipients.next[previous] = slot;
  if (next === none) queue.readyTail = slot;
  else recipients.previous[next] = slot;
}
