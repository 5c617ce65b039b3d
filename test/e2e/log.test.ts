import { expect, test } from 'vitest';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const switches = ['log-connections yes', 'log-commands yes', 'log-data yes'];

test('the log switches show connections, commands, replies and data of both sides, in their order', async () => {
  const scene = await Scene.begin({ sourceLines: switches, domainLines: switches });
  const content = Buffer.from('Subject: in the log\r\n\r\nhello\r\n');
  await submit(scene.ledger.submissions, scene.port, { to: ['seen@sink.test'], content });
  expect(await scene.settle()).toEqual([]);

  const log = await scene.log();
  const client = log.find(({ line }) => line === 'RCPT TO:<seen@sink.test>')!.client;
  const inbound = log.filter((entry) => entry.client === client);
  expect(inbound.map(({ event, line }) => (line === undefined ? event : `${event} ${line}`))).toEqual([
    'listener.connected',
    'session.reply',
    ...['EHLO letter.test', 'MAIL FROM:<sender@letter.test>', 'RCPT TO:<seen@sink.test>', 'DATA'].flatMap(
      (line) => [`session.command ${line}`, 'session.reply'],
    ),
    'session.data',
    'session.reply',
    'listener.disconnected',
  ]);
  const outbound = log.filter(({ queue }) => queue === 'sink.test/{default}');
  expect(outbound[0]!.event).toBe('delivery.connected');
  expect(outbound.at(-1)!.event).toBe('delivery.disconnected');
  const said = outbound.filter(({ event }) => event === 'delivery.commands').map(({ text }) => text);
  expect(said.join('\n')).toContain('RCPT TO:<seen@sink.test>');
  for (const data of ['session.data', 'delivery.content']) {
    expect(log.find(({ event }) => event === data)!.text).toContain('hello');
  }
});

test('with the switches off the log says nothing of connections and contents', async () => {
  const scene = await Scene.begin();
  await submit(scene.ledger.submissions, scene.port, { to: ['unseen@sink.test'] });
  expect(await scene.settle()).toEqual([]);
  const events = new Set((await scene.log()).map(({ event }) => String(event)));
  expect([...events].filter((event) => /^(session|listener|delivery)\./.test(event))).toEqual([]);
});
