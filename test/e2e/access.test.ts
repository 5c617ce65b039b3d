import { expect, test } from 'vitest';
import { runPenstock } from '../ledger/daemon.ts';
import { SmtpConversation } from '../ledger/smtpConversation.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

test('a host that is not allowed is reset before a byte is sent, one without service reads 521', async () => {
  const scene = await Scene.begin({
    listeners: 2,
    listener: (port, index) =>
      index === 0
        ? `<smtp-listener 127.0.0.1:${port}>\n  allowed-hosts 127.0.0.1\n</smtp-listener>`
        : `smtp-listener 127.0.0.1:${port}`,
    extra: '<source 127.0.0.3>\n  smtp-service no\n</source>',
  });
  const stranger = new SmtpConversation(scene.port, '127.0.0.1', '127.0.0.2');
  expect(await stranger.closed()).toBe('ECONNRESET');
  expect(stranger.bytesReceived).toBe(0);

  const unserved = new SmtpConversation(scene.site.ports[1]!, '127.0.0.1', '127.0.0.3');
  expect(await unserved.reply()).toMatch(/^521 penstock\.test /);
  expect(await unserved.closed()).toBeUndefined();

  const { final } = await submit(scene.ledger.submissions, scene.port, { to: ['friend@sink.test'] });
  expect(final).toMatch(/^250 /);
  expect(await scene.settle()).toEqual([]);
});

test('a stranger may send to a relay-domain and nowhere else', async () => {
  const scene = await Scene.begin({
    extra: 'relay-domain ours.test\n<source 127.0.0.2>\n  always-allow-relaying no\n</source>',
  });
  const stranger = new SmtpConversation(scene.port, '127.0.0.1', '127.0.0.2');
  stranger.write('EHLO x\r\nMAIL FROM:<a@b.test>\r\n');
  stranger.write('RCPT TO:<a@elsewhere.test>\r\nRCPT TO:<a@ours.test>\r\nQUIT\r\n');
  const [, , , elsewhere, ours] = (await stranger.replies(6))!;
  expect(elsewhere).toMatch(/^550 5\.7\.1 relaying denied/);
  expect(ours).toMatch(/^250 /);
  expect(await scene.settle()).toEqual([]);
});

test('an open relay does not start, and the client that could relay is named', async () => {
  const scene = await Scene.set({
    listener: (port) => `smtp-listener 0.0.0.0:${port}`,
    extra: '<source 0/0>\n  always-allow-relaying yes\n</source>',
  });
  for (const args of [['run', '--config'], ['check']]) {
    const { code, stderr, stdout } = await runPenstock([...args, scene.site.configFile], scene.site.folder);
    expect(code).toBe(2);
    expect(stderr + stdout).toContain('E-OPEN-RELAY');
    // The witness: an address that may.
    expect(stderr + stdout).toMatch(/\d+\.\d+\.\d+\.\d+/);
  }
});

test('run refuses an unsafe directive and names its line; check passes it with a warning', async () => {
  const scene = await Scene.set({ domainLines: ['dkim-sign yes'] });
  const run = await scene.penstock('run');
  expect(run.code).toBe(2);
  expect(run.stderr).toMatch(/dkim-sign/);
  expect(run.stderr).toMatch(/config:\d+/);
  const check = await runPenstock(['check', scene.site.configFile], scene.site.folder);
  expect(check.code).toBe(0);
  expect(check.stdout + check.stderr).toContain('W-NOT-YET');
});
