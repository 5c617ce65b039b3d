import { open, readdir } from 'node:fs/promises';
import { inFolder, parseAcctFileName, splitAcctPath } from '../accounting/fileNames.ts';
import { readRows } from '../accounting/readRows.ts';

/** A row as its columns say, those that are empty left out. */
export type NamedRow = readonly (readonly [column: string, value: string])[];

/**
 * The rows that come into the files of some `<acct-file>` paths from now on. Files that appear
 * (rotation) are read from their beginning.
 */
export class AccountingTail {
  readonly #paths: readonly string[];
  /** How far each file was read, bytes, and its header line. */
  readonly #files = new Map<string, { at: number; header: string }>();

  private constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  static async start(paths: readonly string[]): Promise<AccountingTail> {
    const tail = new AccountingTail(paths);
    await tail.read();
    return tail;
  }

  async read(): Promise<NamedRow[]> {
    const rows: NamedRow[] = [];
    for (const file of await this.#current()) rows.push(...(await this.#readOn(file)));
    return rows;
  }

  async #current(): Promise<string[]> {
    const found = await Promise.all(
      this.#paths.map(async (path) => {
        const parts = splitAcctPath(path);
        const names = await readdir(parts.folder).catch(() => []);
        const own = names.filter((name) => parseAcctFileName(parts, name) !== undefined).sort();
        return own.map((name) => inFolder(parts.folder, name));
      }),
    );
    return found.flat();
  }

  async #readOn(file: string): Promise<NamedRow[]> {
    const state = this.#files.get(file) ?? { at: 0, header: '' };
    const bytes = await bytesFrom(file, state.at);
    // Up to the last whole line: a writer may be in the middle of the next.
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end === 0) return [];
    const text = bytes.toString('utf8', 0, end);
    const header = state.header === '' ? text.slice(0, text.indexOf('\n') + 1) : state.header;
    this.#files.set(file, { at: state.at + end, header });
    const { columns, rows } = readRows(state.header + text);
    return rows.map((row) =>
      columns.flatMap((column, i) => (row.fields[i] ? [[column, row.fields[i]] as const] : [])),
    );
  }
}

/** Nothing when the file is gone meanwhile (moved, deleted). */
async function bytesFrom(file: string, at: number): Promise<Buffer> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return Buffer.alloc(0);
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.max(0, size - at));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

export function valueIn(row: NamedRow, column: string): string {
  return row.find(([name]) => name === column)?.[1] ?? '';
}
