import type { ByteReader } from '../base/byteReader.ts';
import type { ByteWriter } from '../base/byteWriter.ts';
import type { QueueName } from '../message/names.ts';
import type { QueueEvent } from '../message/queueEvent.ts';

export function queueEventTo(out: ByteWriter, event: QueueEvent): void {
  out.f64(event.timeLoggedMs);
  out.text(event.queue);
  out.text(event.status);
  out.text(event.diagnostic);
  out.text(event.dsnMta);
  out.text(event.dlvSourceIp);
  out.text(event.dlvDestinationIp);
}

export function queueEventFrom(from: ByteReader): QueueEvent {
  return {
    kind: 'queueFailed',
    timeLoggedMs: from.f64(),
    queue: from.text() as QueueName,
    status: from.text(),
    diagnostic: from.text(),
    dsnMta: from.text(),
    dlvSourceIp: from.text(),
    dlvDestinationIp: from.text(),
  };
}
