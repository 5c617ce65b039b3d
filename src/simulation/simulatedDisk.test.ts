import { expect, test } from 'vitest';
import type { Disk, DiskFile } from '../base/ports.ts';
import { Agenda } from './agenda.ts';
import { SeededRandom } from './seededRandom.ts';
import { SimulatedDisk } from './simulatedDisk.ts';

/** Steps until the promise is settled. */
async function settled<T>(disk: SimulatedDisk, promise: Promise<T>): Promise<T> {
  let done = false;
  const finished = promise.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  for (let steps = 0; !done && steps < 1000; steps++) {
    disk.step();
    for (let hops = 0; hops < 8; hops++) await Promise.resolve();
  }
  return finished;
}

/** What a scenario leads to, over many seeds: every outcome once, sorted. */
async function outcomes(scenario: (disk: SimulatedDisk) => Promise<string>): Promise<readonly string[]> {
  const found = new Set<string>();
  for (let seed = 1; seed <= 200; seed++)
    found.add(await scenario(new SimulatedDisk(new SeededRandom(seed))));
  return [...found].sort();
}

async function createIn(disk: Disk, path: string, text: string): Promise<DiskFile> {
  const file = await disk.open(path, 'create');
  await file.write([new TextEncoder().encode(text)], 0);
  return file;
}

async function textOf(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, 'read').catch(() => undefined);
  if (file === undefined) return 'gone';
  const text = new TextDecoder().decode(await file.read(0, 10_000));
  return text.replaceAll('\0', '');
}

const sectors = (text: string): string => [...text].map((letter) => letter.repeat(512)).join('');
const short = (text: string): string => text.replaceAll(/(.)\1+/g, '$1');

test('what was synced, its name too, survives a power loss', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', 'x'));
    await settled(disk, file.sync());
    await settled(disk, disk.syncFolder('/'));
    disk.powerLoss();
    return settled(disk, textOf(disk, '/a'));
  });
  expect(found).toEqual(['x']);
});

test('of what was not synced all survives, or none, or any part; a name goes with all of it', async () => {
  const found = await outcomes(async (disk) => {
    await settled(disk, createIn(disk, '/a', sectors('xyz')));
    disk.powerLoss();
    return short(await settled(disk, textOf(disk, '/a')));
  });
  expect(found).toEqual(['', 'gone', 'x', 'xy', 'xyz', 'xz', 'y', 'yz', 'z']);
});

test('a process that dies leaves a write undone, done, or begun; what was written before stays', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', 'before'));
    void file.write([new TextEncoder().encode('-xyz')], 6);
    disk.kill();
    return settled(disk, textOf(disk, '/a'));
  });
  expect(found).toEqual(['before', 'before-', 'before-x', 'before-xy', 'before-xyz']);
});

test('a failed write leaves a part of itself', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', ''));
    disk.fail('write');
    await expect(settled(disk, file.write([new TextEncoder().encode('xy')], 0))).rejects.toMatchObject({
      code: 'EIO',
    });
    return settled(disk, textOf(disk, '/a'));
  });
  expect(found).toEqual(['', 'x', 'xy']);
});

test('after a failed sync the next one succeeds and writes nothing, and the cache may forget', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', sectors('xy')));
    await settled(disk, disk.syncFolder('/'));
    disk.fail('sync');
    await expect(settled(disk, file.sync())).rejects.toMatchObject({ code: 'EIO' });
    const seen = short(await settled(disk, textOf(disk, '/a')));
    await settled(disk, file.sync());
    disk.powerLoss();
    return `${seen} ${short(await settled(disk, textOf(disk, '/a')))}`;
  });
  expect(found).toEqual(expect.arrayContaining(['xy ', 'xy x', 'xy xy', 'xy y']));
});

test('writing again after a failed sync makes the next one mean something', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', sectors('xy')));
    await settled(disk, disk.syncFolder('/'));
    disk.fail('sync');
    await expect(settled(disk, file.sync())).rejects.toMatchObject({ code: 'EIO' });
    await settled(disk, file.write([new TextEncoder().encode(sectors('xy'))], 0));
    await settled(disk, file.sync());
    disk.powerLoss();
    return short(await settled(disk, textOf(disk, '/a')));
  });
  expect(found).toEqual(['xy']);
});

test('what is written while a sync runs is not promised by it', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', sectors('x')));
    await settled(disk, disk.syncFolder('/'));
    await settled(
      disk,
      Promise.all([file.sync(), file.write([new TextEncoder().encode(sectors('y'))], 512)]),
    );
    disk.powerLoss();
    return short(await settled(disk, textOf(disk, '/a')));
  });
  expect(found).toEqual(['x', 'xy']);
});

test('a name made while its folder is being synced is not promised by that', async () => {
  const found = await outcomes(async (disk) => {
    await settled(disk, Promise.all([disk.syncFolder('/'), createIn(disk, '/a', '')]));
    disk.powerLoss();
    return settled(disk, textOf(disk, '/a'));
  });
  expect(found).toEqual(['', 'gone']);
});

test('a rename is done or not done; no name is ever without its file', async () => {
  const found = await outcomes(async (disk) => {
    await settled(disk, (await settled(disk, createIn(disk, '/a', 'old'))).sync());
    await settled(disk, (await settled(disk, createIn(disk, '/b', 'new'))).sync());
    await settled(disk, disk.syncFolder('/'));
    await settled(disk, disk.rename('/b', '/a'));
    disk.powerLoss();
    return `${await settled(disk, textOf(disk, '/a'))} ${await settled(disk, textOf(disk, '/b'))}`;
  });
  expect(found).toEqual(['new gone', 'old new']);
});

test('an unlink that was not synced may be undone, and unlinks need not keep their order', async () => {
  const found = await outcomes(async (disk) => {
    for (const path of ['/a', '/b'])
      await settled(disk, (await settled(disk, createIn(disk, path, path))).sync());
    await settled(disk, disk.syncFolder('/'));
    await settled(disk, disk.unlink('/a'));
    await settled(disk, disk.unlink('/b'));
    disk.powerLoss();
    return `${await settled(disk, textOf(disk, '/a'))} ${await settled(disk, textOf(disk, '/b'))}`;
  });
  expect(found).toEqual(['/a /b', '/a gone', 'gone /b', 'gone gone']);
});

test('a folder is lost with all that is in it unless the folder above was synced', async () => {
  const run = (syncsParent: boolean) =>
    outcomes(async (disk) => {
      await settled(disk, disk.makeFolder('/f'));
      if (syncsParent) await settled(disk, disk.syncFolder('/'));
      await settled(disk, (await settled(disk, createIn(disk, '/f/a', 'x'))).sync());
      await settled(disk, disk.syncFolder('/f'));
      disk.powerLoss();
      return settled(disk, textOf(disk, '/f/a'));
    });
  expect(await run(false)).toEqual(['gone', 'x']);
  expect(await run(true)).toEqual(['x']);
});

test('a file cut shorter is not grown again by pages it no longer has', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', sectors('xyz')));
    await settled(disk, disk.syncFolder('/'));
    disk.fail('sync');
    await expect(settled(disk, file.sync())).rejects.toMatchObject({ code: 'EIO' });
    await settled(disk, file.write([new TextEncoder().encode(sectors('xyz'))], 0));
    await settled(disk, file.truncate(512));
    await settled(disk, file.sync());
    disk.powerLoss();
    const again = await settled(disk, disk.open('/a', 'read'));
    return String(await settled(disk, again.sizeBytes()));
  });
  expect(found).toEqual(['512']);
});

test('operations end in any order, and those of a dead process not at all', async () => {
  const orders = await outcomes(async (disk) => {
    const order: string[] = [];
    void disk.makeFolder('/a').then(() => order.push('a'));
    void disk.makeFolder('/b').then(() => order.push('b'));
    await settled(disk, Promise.all([disk.makeFolder('/c'), disk.makeFolder('/d')]));
    while (disk.step());
    for (let hops = 0; hops < 8; hops++) await Promise.resolve();
    return order.join('');
  });
  expect(orders).toEqual(['ab', 'ba']);
  const disk = new SimulatedDisk(new SeededRandom(1));
  let isTold = false;
  const tell = (): void => {
    isTold = true;
  };
  void disk.makeFolder('/a').then(tell, tell);
  disk.kill();
  expect(disk.pendingOperations).toBe(0);
  for (let hops = 0; hops < 8; hops++) await Promise.resolve();
  expect(isTold).toBe(false);
});

test('a cut that was not synced may be undone by a power loss', async () => {
  const found = await outcomes(async (disk) => {
    const file = await settled(disk, createIn(disk, '/a', sectors('xyz')));
    await settled(disk, file.sync());
    await settled(disk, disk.syncFolder('/'));
    await settled(disk, file.truncate(512));
    disk.powerLoss();
    return short(await settled(disk, textOf(disk, '/a')));
  });
  expect(found).toEqual(['x', 'xyz']);
});

test('a full disk takes what fits and says so, and what is written in place', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const file = await settled(disk, createIn(disk, '/a', 'abcd'));
  disk.capacityBytes = 6;
  await expect(settled(disk, file.write([new TextEncoder().encode('efgh')], 4))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
  await settled(disk, file.write([new TextEncoder().encode('ABCDEF')], 0));
  expect(await settled(disk, textOf(disk, '/a'))).toBe('ABCDEF');
});

test('a process dies alone: the operations of another go on', async () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const [dying, other] = [disk.process(), disk.process()];
  const told: string[] = [];
  void dying.makeFolder('/a').then(() => told.push('dying'));
  void other.makeFolder('/b').then(() => told.push('other'));
  dying.kill();
  await settled(
    disk,
    dying.makeFolder('/c').then(() => told.push('its next life')),
  );
  await settled(disk, disk.makeFolder('/d'));
  while (disk.step());
  for (let hops = 0; hops < 8; hops++) await Promise.resolve();
  expect(told.toSorted()).toEqual(['its next life', 'other']);
});

test('in virtual time operations complete by themselves, those begun in a stuck spell after it', async () => {
  const random = new SeededRandom(1);
  const agenda = new Agenda(random);
  const disk = new SimulatedDisk(random, { agenda });
  const endsMs: number[] = [];
  const makeOne = (): void => {
    void disk.makeFolder('/a').then(() => endsMs.push(agenda.nowMs));
  };
  makeOne();
  disk.stickUntil(5000);
  makeOne();
  while (agenda.step()) for (let hops = 0; hops < 8; hops++) await Promise.resolve();
  expect(endsMs[0]).toBeLessThan(1);
  expect(endsMs[1]).toBeGreaterThan(5000);
});
