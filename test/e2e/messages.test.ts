import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { withoutTrace } from '../ledger/content.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const crlf = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'));

test('a message to several domains has a queue for each, and one row for each recipient', async () => {
  const scene = await Scene.begin();
  const to = ['a@one.test', 'b@two.test', 'c@one.test', 'a@one.test', 'd@THREE.test'];
  await submit(scene.ledger.submissions, scene.port, { to });
  expect(await scene.settle()).toEqual([]);
  const rows = await scene.rows();
  expect(rows.map(({ rcpt, queue }) => `${rcpt} ${queue}`).sort()).toEqual([
    'a@one.test one.test/{default}',
    // A recipient that was given twice is two.
    'a@one.test one.test/{default}',
    'b@two.test two.test/{default}',
    'c@one.test one.test/{default}',
    'd@THREE.test three.test/{default}',
  ]);
});

test('every kind of content arrives byte for byte behind our trace field, whichever way it came', async () => {
  const scene = await Scene.begin({ keepsContents: true });
  const eightBit = Buffer.concat([crlf('Subject: bytes\n\n'), Buffer.from([0xe4, 0xff, 0x80, 0x0d, 0x0a])]);
  const lines = Array.from({ length: 60 }, () => randomBytes(40).toString('base64'));
  const letters = [
    { to: ['empty@sink.test'], content: Buffer.alloc(0) },
    { to: ['dots@sink.test'], content: crlf('Subject: dots\n\n.\n..\n.a\n...\nend\n') },
    { to: ['eight@sink.test'], content: eightBit, parameters: 'BODY=8BITMIME' },
    {
      to: ['chunks@sink.test'],
      content: crlf(`Subject: c\n\n.\n..x\n${lines.join('\n.')}\n`),
      chunkBytes: 700,
    },
    { to: ['chunk-dots@sink.test'], content: crlf('Subject: d\n\n.\n.\n'), chunkBytes: 1 },
    { to: ['null@sink.test'], from: '', content: crlf('Subject: null sender\n\nx\n') },
    { to: ['føø@bår.test'], content: crlf('Subject: grüße\n\nø\n'), parameters: 'SMTPUTF8' },
    { to: ['headless@sink.test'], content: crlf('\nno header at all\n') },
  ];
  for (const letter of letters) {
    const { final } = await submit(scene.ledger.submissions, scene.port, letter);
    expect(final).toMatch(/^250 /);
  }
  expect(await scene.settle()).toEqual([]);
  for (const { to, content } of letters) {
    const [arrived, ...more] = scene.contents.get(to[0]!)!;
    expect(more).toEqual([]);
    expect(arrived!.toString('latin1')).toMatch(/^Received: from letter\.test /);
    expect(withoutTrace(arrived!)).toEqual(content);
  }
  const rows = await scene.rows();
  expect(rows.find(({ rcpt }) => rcpt === 'null@sink.test')!.orig).toBe('');
  expect(rows.find(({ rcpt }) => rcpt === 'føø@bår.test')!.type).toBe('d');
});

test('a message of 20 MB arrives as it was sent', async () => {
  const scene = await Scene.begin();
  const line = `${randomBytes(57).toString('base64')}\r\n`;
  const content = Buffer.from(`Subject: heavy\r\n\r\n${line.repeat(Math.ceil(20_000_000 / line.length))}`);
  const { final } = await submit(scene.ledger.submissions, scene.port, { to: ['heavy@sink.test'], content });
  expect(final).toMatch(/^250 /);
  expect(await scene.settle()).toEqual([]);
  const [row] = await scene.rows();
  expect(Number(row!.dlvSize)).toBeGreaterThan(20_000_000);
});
