import { expect, test } from 'vitest';
import { freePorts } from '../ledger/daemon.ts';
import { Sink } from '../ledger/sink.ts';
import { Scene } from './scene.ts';

const patienceMs = 60_000;

test(
  '20,000 messages that wait for their host survive a kill, and each is delivered once',
  async () => {
    const [port] = await freePorts(1);
    const scene = await Scene.begin({ sinkPort: port! });
    await scene.inject({ connections: 20, messages: 20_000, sizeBytes: 300 }).done;
    expect(scene.ledger.submissions.filter(({ told }) => told === 'stored')).toHaveLength(20_000);
    await scene.daemon.kill();
    await scene.start();
    expect((await scene.status()).spool).toMatchObject({ messages: 20_000, recipients: 20_000 });
    const sink = await Sink.start({ port: port!, receptions: scene.ledger.receptions });
    expect(await scene.drained(patienceMs)).toBe(true);
    expect(await scene.settle()).toEqual([]);
    await sink.stop();
  },
  2 * patienceMs,
);
