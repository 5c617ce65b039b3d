import type { AcctRecordType } from '../config/config.ts';
import type { Envelope } from '../message/envelope.ts';
import { type AcctEvent, type Column, columnsFor, type Receipt, recordTypeOf } from './fields.ts';
import { type Timestamps, timestamps } from './timestamp.ts';

/** A longer field is cut (reliability A21). Far above any address, reply or ENVID that SMTP allows. */
export const maxFieldChars = 4096;

// The C0 and C1 controls but TAB, DEL, and Unicode's line ends: what a reader could take for the end of a
// row, or a terminal for a command.
const control = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/;
const everyControl = new RegExp(control, 'g');
const special = /[\x00-\x08\x0a-\x1f",\x7f-\x9f\u2028\u2029]/;

/** Makes the rows of one accounting file: RFC 4180, one CRLF-ended record each. */
export interface RowWriter {
  /** The header line, CRLF included. */
  readonly header: string;
  /** '' when the file does not ask for this record type. */
  eventRow(event: AcctEvent): string;
  /** One r row a recipient, or ''. */
  receiptRows(envelope: Envelope): string;
}

export function rowWriter(
  records: readonly AcctRecordType[],
  zoneOffsetMinutes: (wallMs: number) => number,
): RowWriter {
  const columns = columnsFor(records);
  const eventColumns = columns.map((column) => column.event);
  const queueColumns = columns.map((column) => column.queueEvent);
  const receiptColumns = columns.map((column) => column.receipt);
  const asked = new Set(records);
  const times = timestamps(zoneOffsetMinutes);
  return {
    header: `${columns.map((column) => column.name).join(',')}\r\n`,
    eventRow(event) {
      if (!asked.has(recordTypeOf[event.kind])) return '';
      return event.kind === 'queueFailed' ? row(queueColumns, event, times) : row(eventColumns, event, times);
    },
    receiptRows(envelope) {
      // What this server makes nobody has submitted.
      if (!asked.has('r') || envelope.reception.type === 'local') return '';
      let rows = '';
      for (const recipient of envelope.recipients)
        rows += row(receiptColumns, { envelope, recipient }, times);
      return rows;
    },
  };
}

function row<Item extends AcctEvent | Receipt>(
  columns: readonly (Column<Item> | undefined)[],
  item: Item,
  times: Timestamps,
): string {
  let text = '';
  for (let i = 0; i < columns.length; i++) {
    if (i > 0) text += ',';
    const column = columns[i];
    if (column === undefined) continue;
    const value = column.read(item, times);
    text += column.style === 'asIs' ? value : csvField(value, column.style === 'quoted');
  }
  return `${text}\r\n`;
}

/** One field as written: controls become blanks, quotes are doubled, and it is quoted where it must be. */
function csvField(value: string, alwaysQuoted: boolean): string {
  if (value === '') return '';
  const cut = value.length > maxFieldChars ? value.slice(0, maxFieldChars) : value;
  if (!special.test(cut)) return alwaysQuoted ? `"${cut}"` : cut;
  const clean = withoutControls(cut);
  const needsQuotes = clean.includes(',') || clean.includes('"');
  return alwaysQuoted || needsQuotes ? `"${clean.replaceAll('"', '""')}"` : clean;
}

/** Every control that could end a row or drive a terminal, as a blank (reliability A21). */
function withoutControls(text: string): string {
  return control.test(text) ? text.replace(everyControl, ' ') : text;
}
