type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** Twice as long, same content. */
export function doubled<T extends Column>(column: T): T {
  const wider = new (column.constructor as new (length: number) => T)(column.length * 2);
  wider.set(column as never);
  return wider;
}

/** Every column of a table twice as long. */
export function doubledAll<T extends Readonly<Record<string, Column>>>(table: T): T {
  return Object.fromEntries(Object.entries(table).map(([name, column]) => [name, doubled(column)])) as T;
}
