import { systemClock } from '../src/base/node/clock.ts';
import { systemDigest } from '../src/base/node/digest.ts';
import { systemDisk } from '../src/base/node/disk.ts';
import { systemRandom } from '../src/base/node/random.ts';
import { beforeAll } from '../src/message/batchPosition.ts';
import type { Content, Envelope } from '../src/message/envelope.ts';
import { recover } from '../src/spool/recovery.ts';
import { SegmentSpool } from '../src/spool/segmentSpool.ts';
import { temporaryFolder } from './ending.ts';
import { figure, spreadOf, spreadText, table } from './figures.ts';

export interface SpoolBenchOptions {
  /** 3 */
  readonly rounds: number | undefined;
  /** How long each figure is measured; 0.5. */
  readonly seconds: number | undefined;
}

interface SpoolFigures {
  readonly messagesPerSecond: number;
  readonly batchesPerSecond: number;
}

const blockBytes = 4096;
const sizesBytes = [2048, 200 * 1024];
/** Messages that wait for their disk; 0 is the disk's own price: one synced write after the other. */
const inFlights = [0, 1, 10, 100];

const ports = { disk: systemDisk(), clock: systemClock(), random: systemRandom(), digest: systemDigest() };

/** The spool alone on the disk of the temporary folder ($TMPDIR), beside what the disk itself charges. */
export async function benchSpool({ rounds = 3, seconds = 0.5 }: SpoolBenchOptions): Promise<void> {
  const folder = temporaryFolder();
  const cases = sizesBytes.flatMap((sizeBytes) =>
    inFlights.map((inFlight) => ({ sizeBytes, inFlight, figures: [] as SpoolFigures[] })),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const { sizeBytes, inFlight, figures } of cases) {
      const measure = inFlight === 0 ? writeAlone : storeMessages;
      figures.push(await measure(`${folder.path}/spool`, sizeBytes, inFlight, seconds));
      folder.remove();
    }
  }
  console.log(`\nspool: in ${folder.path}, ${rounds} rounds of ${seconds} s`);
  const rows = cases.map(({ sizeBytes, inFlight, figures }) => {
    const { median, ...extremes } = spreadOf(figures.map((one) => one.messagesPerSecond));
    const batches = spreadOf(figures.map((one) => one.batchesPerSecond)).median;
    const perBatch = spreadOf(figures.map((one) => one.messagesPerSecond / one.batchesPerSecond)).median;
    return [
      `${sizeBytes} bytes, ${inFlight === 0 ? 'synced writes alone' : `${inFlight} in flight`}`,
      spreadText({ median, ...extremes }),
      figure(batches),
      inFlight === 0 ? '' : figure(perBatch),
      figure(1000 / batches),
    ];
  });
  console.log(table([['', 'messages/s', 'batches/s', 'messages/batch', 'ms/batch'], ...rows]));
}

async function writeAlone(
  folder: string,
  sizeBytes: number,
  _inFlight: number,
  seconds: number,
): Promise<SpoolFigures> {
  await ports.disk.makeFolder(folder);
  const file = await ports.disk.open(`${folder}/alone`, 'create');
  const block = new Uint8Array(Math.ceil(sizeBytes / blockBytes) * blockBytes).fill(120);
  const beganMs = performance.now();
  let writes = 0;
  for (; performance.now() < beganMs + seconds * 1000; writes++) {
    await file.writeSynced([block], writes * block.length);
  }
  const perSecond = (writes / (performance.now() - beganMs)) * 1000;
  await file.close();
  return { messagesPerSecond: perSecond, batchesPerSecond: perSecond };
}

/** Every message that became durable is followed by the next, so that always `inFlight` of them wait. */
async function storeMessages(
  folder: string,
  sizeBytes: number,
  inFlight: number,
  seconds: number,
): Promise<SpoolFigures> {
  const recovered = await recover(ports, folder, beforeAll);
  if (recovered.kind !== 'recovered') throw new Error(`the spool did not start: ${recovered.kind}`);
  let batches = 0;
  const spool = new SegmentSpool(
    ports,
    folder,
    recovered,
    { durability: 'sync', minFreeBytes: 0 },
    {
      published: () => {
        batches += 1;
      },
      failed: (code) => {
        throw new Error(`the disk failed: ${code}`);
      },
    },
  );
  await spool.started;
  const content = contentOf(sizeBytes);
  let messages = 0;
  batches = 0;
  const beganMs = performance.now();
  await new Promise<void>((resolve) => {
    const put = (): void =>
      spool.putMessage(
        { envelope: { ...envelope, id: spool.nextId() }, content, durability: 'sync' },
        { answer: answered, owed: () => undefined },
      );
    const answered = (): void => {
      messages += 1;
      if (performance.now() < beganMs + seconds * 1000) put();
      else if (--waiting === 0) resolve();
    };
    let waiting = inFlight;
    for (let i = 0; i < inFlight; i++) put();
  });
  const tookSeconds = (performance.now() - beganMs) / 1000;
  await spool.close();
  return { messagesPerSecond: messages / tookSeconds, batchesPerSecond: batches / tookSeconds };
}

function contentOf(sizeBytes: number): Content {
  const prefix = new TextEncoder().encode(`Received: ${'x'.repeat(200)}\r\n`);
  return { prefix, chunks: [new Uint8Array(sizeBytes - prefix.length).fill(120)], sizeBytes };
}

const envelope: Omit<Envelope, 'id'> = {
  timeQueuedMs: Date.now(),
  reversePath: 'sender@load.bench.test',
  recipients: [{ forwardPath: 'recipient@sink.bench.test', domain: 'sink.bench.test', orcpt: '' }],
  smtpUtf8: false,
  eightBit: false,
  wireForm: 'dotStuffed',
  vmta: 'vmta1',
  vmtaPool: '',
  jobId: '',
  envId: '',
  dsnReturn: 'headers',
  reception: {
    type: 'smtp',
    heloName: 'load.bench.test',
    clientAddress: '127.0.0.1',
    listenerAddress: '127.0.0.1',
    listenerPort: 25,
  },
};
