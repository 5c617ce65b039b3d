import { expect, test } from 'vitest';
import { Scene } from './scene.ts';

/** Listener by listener: its mark, and the addresses its pool sends from. */
const lanes = [
  { mark: 'bulk', sendsFrom: ['127.0.1.1'] },
  { mark: 'offers', sendsFrom: ['127.0.1.2'] },
  { mark: 'receipts', sendsFrom: ['127.0.1.3', '127.0.1.4'] },
];

test('separate listeners feed separate pools, and the virtual MTAs of a pool take turns', async () => {
  const vmtas = lanes.flatMap(({ mark, sendsFrom }) =>
    sendsFrom.map((address, i) => [
      `<virtual-mta ${mark}${i}>`,
      `  smtp-source-host ${address} ${mark}${i}.penstock.test`,
      '</virtual-mta>',
    ]),
  );
  const pools = lanes.map(({ mark, sendsFrom }) => [
    `<virtual-mta-pool ${mark}>`,
    ...sendsFrom.map((_, i) => `  virtual-mta ${mark}${i}`),
    '</virtual-mta-pool>',
  ]);
  const scene = await Scene.begin({
    listeners: lanes.length,
    listener: (port, index) =>
      `<smtp-listener 127.0.0.1:${port}>\n  default-virtual-mta-pool ${lanes[index]!.mark}\n</smtp-listener>`,
    extra: [...vmtas, ...pools].flat().join('\n'),
  });
  const injectors = lanes.map(({ mark }, i) =>
    scene.inject({ mark, port: scene.site.ports[i]!, connections: 3, messages: 200 }),
  );
  await Promise.all(injectors.map(({ done }) => done));
  expect(await scene.settle()).toEqual([]);

  const peers = new Map(scene.ledger.receptions.map((one) => [one.recipient, one.clientAddress]));
  const rows = await scene.rows();
  expect(rows).toHaveLength(600);
  for (const row of rows) {
    const { mark, sendsFrom } = lanes.find((lane) => row.rcpt!.startsWith(lane.mark))!;
    expect(row.vmtaPool).toBe(mark);
    expect(row.dlvSourceIp).toBe(sendsFrom[Number(row.vmta!.slice(mark.length))]);
    expect(row.dlvSourceIp).toBe(peers.get(row.rcpt!));
    expect(row.queue).toBe(`sink.test/${row.vmta}`);
  }
  const turns = (vmta: string): number => rows.filter((row) => row.vmta === vmta).length;
  expect([turns('receipts0'), turns('receipts1')]).toEqual([100, 100]);
});
