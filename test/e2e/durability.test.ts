import { expect, test } from 'vitest';
import { Scene } from './scene.ts';

test.each([
  'os',
  'none',
])('with durability %s mail is delivered and accounted just the same', async (durability) => {
  const scene = await Scene.begin({ extra: `durability ${durability}` });
  expect((await scene.status()).durability).toBe(durability);
  await scene.inject({ connections: 10, messages: 400, recipientsPerMessage: 2 }).done;
  expect(await scene.settle()).toEqual([]);
});

test('with durability os a kill of the processes loses nothing that was answered 250', async () => {
  const scene = await Scene.begin({ extra: 'durability os', sinkPort: 9 });
  await scene.inject({ connections: 10, messages: 300 }).done;
  await scene.daemon.kill();
  await scene.start();
  expect((await scene.status()).spool.messages).toBe(300);
});
