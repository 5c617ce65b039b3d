import { expect, test } from 'vitest';
import { doubled, doubledAll } from './column.ts';

test('a doubled column is of the same kind, twice as long, and keeps what it holds', () => {
  const columns = [
    Uint8Array.of(255),
    Uint16Array.of(65_535),
    Uint32Array.of(2 ** 32 - 1),
    Int32Array.of(-1),
    Float64Array.of(0.5),
  ];
  for (const column of columns) {
    const wider = doubled(column);
    expect(wider.constructor).toBe(column.constructor);
    expect([...wider]).toEqual([column[0], 0]);
  }
});

test('every column of a table is doubled under its name', () => {
  const table = { epoch: Uint32Array.of(1, 2), row: Int32Array.of(-1, 3) };
  expect(doubledAll(table)).toEqual({ epoch: Uint32Array.of(1, 2, 0, 0), row: Int32Array.of(-1, 3, 0, 0) });
  expect(table.epoch.length).toBe(2);
});
