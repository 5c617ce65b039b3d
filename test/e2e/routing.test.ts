import { expect, test } from 'vitest';
import { contentHash, withoutTrace } from '../ledger/content.ts';
import type { Submission } from '../ledger/ledger.ts';
import { type Letter, submit } from './letter.ts';
import { Scene } from './scene.ts';

const crlf = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'));

const addresses = { one: '127.0.1.1', two: '127.0.1.2', three: '127.0.1.3' };
const vmtas = Object.entries(addresses).map(
  ([name, address]) =>
    `<virtual-mta ${name}>\n  smtp-source-host ${address} ${name}.penstock.test\n</virtual-mta>`,
);
const pool = '<virtual-mta-pool both>\n  virtual-mta two\n  virtual-mta three\n</virtual-mta-pool>';

const begin = (sourceLines: readonly string[], extra: readonly string[] = []): Promise<Scene> =>
  Scene.begin({
    keepsContents: true,
    sourceLines: ['default-virtual-mta one', ...sourceLines],
    acctLines: ['records d,b,t,r'],
    extra: [...vmtas, pool, ...extra].join('\n'),
  });

/** Sends it; `arrives`: what its receivers are to get instead of what was sent. */
async function send(scene: Scene, letter: Letter, arrives?: Buffer): Promise<string | undefined> {
  const noted: Submission[] = [];
  const { final } = await submit(noted, scene.port, letter);
  for (const one of noted) {
    const hash = arrives === undefined ? one.contentHash : contentHash(arrives);
    scene.ledger.submissions.push({ ...one, contentHash: hash });
  }
  return final;
}

test('header fields direct a message as far as its source allows, and leave it', async () => {
  const scene = await begin([
    'process-x-virtual-mta yes',
    'allowed-virtual-mtas two both',
    'process-x-job yes',
    'jobid-prefix p-',
    'process-x-envid yes',
  ]);
  const content = crlf(
    '..X-Dots: a\nX-Virtual-MTA: BOTH\nSubject: b\nx-job:\n  spring-7\nX-Envid: e 1\nX-Virtual-MTA: one\n\n.X-Job: body\n',
  );
  const left = crlf('..X-Dots: a\nSubject: b\n\n.X-Job: body\n');
  const final = await send(scene, { to: ['pool@sink.test'], content }, left);
  expect(final).toMatch(/^250 /);
  // In pieces that cut through fields; raw on its way in.
  await send(scene, { to: ['pool2@sink.test'], content, chunkBytes: 7 }, left);
  await send(scene, { to: ['plain@sink.test'] });
  const refused = crlf('X-Virtual-MTA: one\n\nx\n');
  expect(await send(scene, { to: ['no@sink.test'], content: refused })).toBe(
    '550 5.7.1 X-Virtual-MTA may not choose one here',
  );
  expect(await scene.settle()).toEqual([]);

  expect(withoutTrace(scene.contents.get('pool@sink.test')![0]!)).toEqual(left);
  expect(scene.contents.has('no@sink.test')).toBe(false);
  const rows = await scene.rows();
  const told = rows
    .map(({ type, rcpt, vmta, vmtaPool, jobId, envId }) => [rcpt, type, vmta, vmtaPool, jobId, envId].join())
    .sort();
  expect(told).toEqual([
    'plain@sink.test,d,one,,,',
    'plain@sink.test,r,one,,,',
    'pool2@sink.test,d,three,both,p-spring-7,e 1',
    'pool2@sink.test,r,both,,p-spring-7,e 1',
    'pool@sink.test,d,two,both,p-spring-7,e 1',
    'pool@sink.test,r,both,,p-spring-7,e 1',
  ]);
});

test('header fields of a source that directs nothing by them stay where they are, and have no effect', async () => {
  const scene = await begin(['retain-x-virtual-mta yes', 'allowed-virtual-mtas two']);
  const content = crlf('X-Virtual-MTA: two\nX-Job: j\nX-Envid: e\n\nx\n');
  await send(scene, { to: ['a@sink.test'], content });
  expect(await scene.settle()).toEqual([]);
  const [row] = (await scene.rowsOf('a@sink.test')).filter(({ type }) => type === 'd');
  expect([row!.vmta, row!.jobId, row!.envId]).toEqual(['one', '', '']);
});

test('recipients of one message go several ways, stored as one, each with its row', async () => {
  const scene = await begin(
    ['pattern-list ways', 'add-x-virtual-mta-header no'],
    [
      '<pattern-list ways>',
      '  rcpt-to /@(a|b)\\.test$/ virtual-mta=two',
      '  header X-Class: /bulk/',
      '  <pattern-list>',
      '    rcpt-to /^c@/ virtual-mta=both',
      '  </pattern-list>',
      '</pattern-list>',
    ],
  );
  const to = ['x@a.test', 'c@c.test', 'x@b.test', 'd@d.test'];
  const content = crlf('X-Class: bulk\n\nx\n');
  const final = await send(scene, { to, content });
  expect(await scene.settle()).toEqual([]);
  const rows = (await scene.rows()).filter(({ type }) => type === 'd');
  expect(Object.fromEntries(rows.map(({ rcpt, queue, vmtaPool }) => [rcpt, `${queue} ${vmtaPool}`]))).toEqual(
    {
      'x@a.test': 'a.test/two ',
      'x@b.test': 'b.test/two ',
      'c@c.test': 'c.test/two both',
      'd@d.test': 'd.test/one ',
    },
  );
  // All copies carry the id that the client was told, and name no recipient.
  const id = /id (\S+)/.exec(final!)![1]!;
  for (const recipient of to) {
    const arrived = scene.contents.get(recipient)![0]!.toString();
    expect(arrived).toContain(` id ${id};`);
    expect(arrived).not.toContain(' for <');
  }
});

test('an unknown name that is not refused bounces with 5.3.5', async () => {
  const scene = await begin(['process-x-virtual-mta yes', 'reject-invalid-virtual-mta no']);
  const content = crlf('X-Virtual-MTA: gone\n\nx\n');
  expect(await send(scene, { to: ['a@sink.test', 'b@other.test'], content })).toMatch(/^250 /);
  expect(await scene.settle()).toEqual([]);
  const rows = (await scene.rows()).filter(({ type }) => type === 'b');
  expect(rows.map(({ rcpt, queue, dsnStatus, bounceCat }) => [rcpt, queue, dsnStatus, bounceCat])).toEqual([
    ['a@sink.test', 'sink.test/{invalid:gone}', '5.3.5 (system incorrectly configured)', 'bad-configuration'],
    [
      'b@other.test',
      'other.test/{invalid:gone}',
      '5.3.5 (system incorrectly configured)',
      'bad-configuration',
    ],
  ]);
  expect(scene.contents.size).toBe(0);
});

test('a fallback takes what names no virtual MTA, and fields of ours stand below our trace', async () => {
  const scene = await begin(
    [
      'process-x-virtual-mta yes',
      'retain-x-virtual-mta yes',
      'reject-invalid-virtual-mta no',
      'add-x-virtual-mta-header yes',
      'add-message-id-header yes',
      'add-date-header override',
      'remove-received-headers yes',
      'remove-header X-Mailer, X-Internal',
    ],
    ['invalid-virtual-mta-fallback three'],
  );
  const content = crlf(
    'Received: from a\n\tby b; x\nX-Virtual-MTA: gone\nDate: never\nMessage-ID: <own@x>\nX-Internal: y\n z\nReceived: c\n\nx\n',
  );
  await submit([], scene.port, { to: ['a@sink.test'], content });
  await submit([], scene.port, { to: ['b@sink.test'], content: crlf('Subject: none\n\nx\n') });
  await expect.poll(() => scene.contents.size, { timeout: 10_000 }).toBe(2);
  expect(await scene.daemon.stop()).toBe(0);
  const [a, b] = ['a', 'b'].map((name) =>
    withoutTrace(scene.contents.get(`${name}@sink.test`)![0]!).toString(),
  );
  expect(a).toMatch(
    /^X-Virtual-MTA: three\r\nDate: \w{3}, [^\r]+\r\nX-Virtual-MTA: gone\r\nMessage-ID: <own@x>\r\n\r\nx\r\n$/,
  );
  expect(b).toMatch(
    /^X-Virtual-MTA: one\r\nMessage-ID: <1\.[\w.]+@penstock\.test>\r\nDate: \w{3}, [^\r]+\r\nSubject: none\r\n\r\nx\r\n$/,
  );
});
