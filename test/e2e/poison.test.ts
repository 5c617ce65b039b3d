import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { waitUntil } from '../ledger/daemon.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

/** Loaded into the engine: a mistake of ours that shows with one message, whenever it is about to be sent. */
const mistake = `
import { Socket } from 'node:net';
const write = Socket.prototype._writeGeneric;
Socket.prototype._writeGeneric = function (writev, data, encoding, callback) {
  const chunks = writev ? data.map((one) => one.chunk ?? one) : [data];
  if (chunks.some((chunk) => Buffer.from(chunk).includes('RCPT TO:<poison@'))) throw new Error('our mistake');
  return write.call(this, writev, data, encoding, callback);
};
`;

test('the message that an engine dies of is held after its second death, and the rest of the mail goes on', async () => {
  const scene = await Scene.set({ domainLines: ['max-smtp-out 1'] });
  const preload = join(scene.site.folder, 'mistake.mjs');
  await writeFile(preload, mistake);
  await scene.start({ environment: { NODE_OPTIONS: `--import=${preload}` } });
  await submit(scene.ledger.submissions, scene.port, { to: ['poison@sink.test'] });
  const log = async (): Promise<readonly string[]> => (await scene.log()).map(({ event }) => String(event));
  expect(await waitUntil(async () => (await log()).includes('message.deadly'), 25_000)).toBe(true);
  expect((await log()).filter((event) => event === 'engine.crashed')).toHaveLength(2);
  await waitUntil(async () => (await scene.status()).engines[0]?.state === 'running', 20_000);
  await submit(scene.ledger.submissions, scene.port, { to: ['healthy@sink.test'] });
  expect(await waitUntil(async () => (await scene.rowsOf('healthy@sink.test')).length === 1, 10_000)).toBe(
    true,
  );
  expect(await scene.rowsOf('poison@sink.test')).toEqual([]);
  expect(await scene.daemon.stop()).toBe(0);
}, 60_000);
