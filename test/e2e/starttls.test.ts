import { resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts, waitUntil } from '../ledger/daemon.ts';
import { misdeeds, shortTimeouts, tlsFiles } from '../ledger/misdeeds.ts';
import { Sink } from '../ledger/sink.ts';
import { submit } from './letter.ts';
import { Scene } from './scene.ts';

const caFile = `smtp-tls-ca-file ${resolve(tlsFiles.certificate)}`;
const otherCaFile = `smtp-tls-ca-file ${resolve('test/tls/otherAuthority.pem')}`;

async function sceneWith(
  domainLines: readonly string[],
  sink: { readonly offersTls: boolean; readonly misdeed?: string },
): Promise<Scene> {
  const [port] = await freePorts(1);
  const scene = await Scene.begin({ sinkPort: port!, domainLines: [...shortTimeouts, ...domainLines] });
  const started = await Sink.start({
    port: port!,
    receptions: scene.ledger.receptions,
    offersTls: sink.offersTls,
    takesOver: (socket) => {
      if (sink.misdeed === undefined) return false;
      socket.on('error', () => {});
      misdeeds[sink.misdeed]!.act(socket);
      return true;
    },
  });
  onTestFinished(() => started.stop());
  return scene;
}

test('mail goes through TLS where it is offered, pipelined and large; the log tells how', async () => {
  const scene = await sceneWith(['log-tls yes'], { offersTls: true });
  await scene.inject({ messages: 100 }).done;
  const content = Buffer.from(`Subject: long\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(40_000)}`);
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'], content });
  expect(await scene.settle()).toEqual([]);
  expect(scene.ledger.receptions.every(({ isSecure }) => isSecure)).toBe(true);
  const [secured] = await scene.log('delivery.secured');
  expect(secured).toMatchObject({ protocol: 'TLSv1.3', cipher: expect.stringContaining('TLS_') });
});

test('use-starttls no: in the clear, whatever is offered', async () => {
  const scene = await sceneWith(['use-starttls no'], { offersTls: true });
  await scene.inject({ messages: 5 }).done;
  expect(await scene.settle()).toEqual([]);
  expect(scene.ledger.receptions.some(({ isSecure }) => isSecure)).toBe(false);
});

test('nobody vouches for the remote and TLS is not required: in the clear, by another connection', async () => {
  const scene = await sceneWith([otherCaFile, 'log-tls yes'], { offersTls: true });
  await scene.inject({ messages: 5, connections: 1 }).done;
  expect(await scene.settle()).toEqual([]);
  expect(scene.ledger.receptions.some(({ isSecure }) => isSecure)).toBe(false);
  const [failed] = await scene.log('delivery.tlsFailed');
  expect(failed).toMatchObject({ failure: { diagnostic: expect.stringContaining('SELF_SIGNED_CERT') } });
});

test.each([
  ['TLS is required and not offered', ['require-starttls yes'], { offersTls: false }, '4.7.4'],
  [
    'TLS is required and nobody vouches for the remote',
    ['require-starttls yes', otherCaFile],
    { offersTls: true },
    '4.7.5',
  ],
  [
    'TLS is required and the handshake fails',
    ['require-starttls yes'],
    { offersTls: true, misdeed: 'handshake-noise' },
    '4.7.5',
  ],
] as const)('nothing leaves in the clear when %s: it waits, and the log says why', async (_, lines, sink, status) => {
  const scene = await sceneWith(lines, sink);
  await submit(scene.ledger.submissions, scene.port, { to: ['a@sink.test'] });
  const failures = (): Promise<Record<string, unknown>[]> => scene.log('delivery.queueFailed');
  expect(await waitUntil(async () => (await failures()).length >= 2, 10_000)).toBe(true);
  expect((await failures())[0]!.status).toContain(status);
  expect(scene.ledger.receptions).toEqual([]);
  expect(await scene.rows()).toEqual([]);
});

test('an authority that vouches for the remote lets TLS through; the address is the name it must have', async () => {
  const scene = await sceneWith(['require-starttls yes', caFile], { offersTls: true });
  await scene.inject({ messages: 5 }).done;
  expect(await scene.settle()).toEqual([]);
  expect(scene.ledger.receptions.every(({ isSecure }) => isSecure)).toBe(true);
});
