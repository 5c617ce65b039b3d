import { beforeEach, expect, test } from 'vitest';
import type { Disk } from '../base/ports.ts';
import { SeededRandom } from '../simulation/seededRandom.ts';
import { SimulatedDisk } from '../simulation/simulatedDisk.ts';
import { PoisonGuard, takeDeadly } from './poisonGuard.ts';

const a = { epoch: 1, sequence: 10 };
const b = { epoch: 1, sequence: 11 };
let notes: string[];
let disk: SimulatedDisk;

beforeEach(() => {
  notes = [];
  disk = new SimulatedDisk(new SeededRandom(1));
});

const guard = (isCareful: boolean): PoisonGuard =>
  new PoisonGuard({ note: (text) => void notes.push(text) }, isCareful);

async function settled<T>(promise: Promise<T>): Promise<T> {
  let isDone = false;
  promise
    .finally(() => {
      isDone = true;
    })
    .catch(() => undefined);
  while (!isDone) {
    disk.step();
    for (let hops = 0; hops < 20; hops++) await Promise.resolve();
  }
  return promise;
}

async function write(seen: Disk, path: string, text: string): Promise<void> {
  const file = await seen.open(path, 'create');
  await file.write([new TextEncoder().encode(text)], 0);
  await file.close();
}

/** The life before ended with this note. */
async function deathOn(suspect: string): Promise<readonly string[]> {
  await settled(disk.makeFolder('/s'));
  await settled(write(disk, '/s/suspect', suspect.padEnd(64)));
  return [...(await settled(takeDeadly(disk, '/s')))];
}

test('a death is blamed on the message of the step that was being taken', () => {
  const one = guard(false);
  one.enter(a);
  one.leave();
  one.enter(b);
  one.died();
  expect(notes).toEqual(['1.b']);
});

test('between steps nobody is to blame', () => {
  const one = guard(false);
  one.enter(a);
  one.leave();
  one.died();
  expect(notes).toEqual(['']);
});

test('careful, it notes every step before it is taken, and that it is over', () => {
  const one = guard(true);
  one.enter(a);
  expect(notes).toEqual(['1.a']);
  one.leave();
  one.leave();
  expect(notes).toEqual(['1.a', '']);
});

test('one death makes a suspect, the second on the same message makes it deadly, once', async () => {
  expect(await deathOn('1.a')).toEqual([]);
  expect(await deathOn('1.b')).toEqual([]);
  expect(await deathOn('1.a')).toEqual(['1.a']);
  expect(await deathOn('1.a')).toEqual([]);
  expect(await deathOn('1.b')).toEqual(['1.b']);
});

test('a life that noted nothing, or nobody, blames nobody', async () => {
  expect(await deathOn('1.a')).toEqual([]);
  expect([...(await settled(takeDeadly(disk, '/s')))]).toEqual([]);
  expect(await deathOn('')).toEqual([]);
});
