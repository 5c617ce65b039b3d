/** One row of an accounting file, ours or PowerMTA's, read by column name. */
export interface AcctRow {
  readonly fields: readonly string[];
  /** '' for a column the file or the row does not have: the missing value (powermta d.1). */
  get(column: string): string;
}

export interface AcctRows {
  readonly columns: readonly string[];
  readonly rows: readonly AcctRow[];
  /** Where the first character stands that was not read: an unfinished last row, or the problem. */
  readonly restAt: number;
  readonly problem: 'field-too-long' | 'too-many-columns' | undefined;
}

const maxFieldChars = 1 << 20;
const maxColumns = 1000;

/**
 * Reads RFC 4180 text whose first line is the header. Empty lines count for nothing. A last record without
 * a line end is left unread (a writer may be in the middle of it) and named by `restAt`.
 */
export function readRows(text: string): AcctRows {
  const rows: AcctRow[] = [];
  let columns: readonly string[] | undefined;
  let places: ReadonlyMap<string, number> = new Map();
  let restAt = text.startsWith('\ufeff') ? 1 : 0;
  for (;;) {
    const record = readRecord(text, restAt);
    if (typeof record !== 'object') return { columns: columns ?? [], rows, restAt, problem: record };
    restAt = record.nextAt;
    if (record.fields.length === 1 && record.fields[0] === '') continue;
    if (columns === undefined) {
      columns = record.fields;
      places = new Map(columns.map((name, place) => [name, place] as const).reverse());
    } else {
      rows.push(acctRow(record.fields, places));
    }
  }
}

function acctRow(fields: readonly string[], places: ReadonlyMap<string, number>): AcctRow {
  return {
    fields,
    get(column) {
      const place = places.get(column);
      return place === undefined ? '' : (fields[place] ?? '');
    },
  };
}

interface CsvRecord {
  readonly fields: readonly string[];
  readonly nextAt: number;
}

/** undefined: the text ends before the record does. */
function readRecord(text: string, from: number): CsvRecord | AcctRows['problem'] {
  const fields: string[] = [];
  for (let at = from; ; ) {
    const field = text[at] === '"' ? readQuoted(text, at) : readPlain(text, at);
    if (field === undefined) return undefined;
    if (field.value.length > maxFieldChars) return 'field-too-long';
    if (fields.push(field.value) > maxColumns) return 'too-many-columns';
    const end = text[field.endAt];
    if (end === undefined) return undefined;
    at = field.endAt + 1;
    if (end === '\n') return { fields, nextAt: at };
    if (end === '\r') return { fields, nextAt: at + 1 };
  }
}

/** `endAt`: at the comma, at the LF, at the CR of a CRLF, or at the end of the text. */
interface CsvField {
  readonly value: string;
  readonly endAt: number;
}

function readPlain(text: string, from: number): CsvField {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x2c || code === 0x0a || (code === 0x0d && text[at + 1] === '\n')) break;
    at++;
  }
  return { value: text.slice(from, at), endAt: at };
}

function readQuoted(text: string, from: number): CsvField | undefined {
  let value = '';
  for (let at = from + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return undefined;
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') {
      // RFC 4180 puts nothing behind the closing quote; what stands there is kept rather than lost.
      const tail = readPlain(text, quote + 1);
      return { value: value + tail.value, endAt: tail.endAt };
    }
    value += '"';
    at = quote + 2;
  }
}
