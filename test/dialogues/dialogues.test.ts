/**
 * Runs every `*.dialogue` of this folder against a session: each group of client lines in one piece,
 * and again cut at every octet. `README.md` explains the format.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { replies } from '../../src/protocol/replies.ts';
import type { SessionPolicy } from '../../src/session/commands.ts';
import { type ReceivedMessage, ServerSession, type SessionEffect } from '../../src/session/serverSession.ts';

interface Step {
  readonly line: number;
  readonly word: string;
  readonly rest: string;
}

const folder = new URL('.', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.dialogue'));

test('there are dialogues', () => {
  expect(files.length).toBeGreaterThan(25);
});

for (const file of files) {
  const steps = parse(readFileSync(new URL(file, folder), 'utf8'));
  const name = file.replace('.dialogue', '');
  test(`${name}, in groups`, () => run(steps, (bytes) => [bytes]));
  test(`${name}, octet by octet`, () =>
    run(steps, (bytes) => Array.from(bytes, (octet) => Uint8Array.of(octet))));
}

function parse(text: string): Step[] {
  return text.split('\n').flatMap((content, i) => {
    const match = /^(C:|C=|S:|[a-z]+:?)(?: (.*))?$/.exec(content);
    if (content === '' || content.startsWith('#')) return [];
    if (match === null) throw new Error(`line ${i + 1} is no step: ${content}`);
    return [{ line: i + 1, word: match[1]!, rest: match[2] ?? '' }];
  });
}

function run(steps: readonly Step[], cut: (bytes: Uint8Array) => Uint8Array[]): void {
  const session = new ServerSession(policyOf(steps), 0);
  const replies: string[] = [];
  let message: ReceivedMessage | undefined;
  let closed = false;
  let nowMs = 0;
  const take = (effects: readonly SessionEffect[]): void => {
    expect(effects.filter((effect) => effect.kind === 'send').length).toBeLessThan(2);
    for (const effect of effects) {
      expect(closed, 'nothing after close').toBe(false);
      if (effect.kind === 'send') replies.push(...lines(new TextDecoder().decode(effect.bytes)));
      else if (effect.kind === 'message') message = effect.message;
      else closed = true;
    }
  };
  take(session.start());
  let group: number[] = [];
  for (const [i, { line, word, rest }] of steps.entries()) {
    const at = `line ${line}`;
    if (word === 'C:') group.push(...new TextEncoder().encode(`${rest}\r\n`));
    else if (word === 'C=') group.push(...unescaped(rest));
    else if (word === 'S:') expectReply(replies, rest, at);
    else if (word === 'close') expect(closed, at).toBe(true);
    else if (word === 'message:') {
      expect(message === undefined ? 'no message' : describe(message), at).toBe(rest);
    } else if (word === 'content:') {
      const content = message!.chunks.flatMap((chunk) => [...chunk]);
      expect(content, at).toEqual([...unescaped(rest)]);
    } else if (word === 'stored:') take(session.stored({ ok: true, id: rest }, nowMs));
    else if (word === 'refused:') take(session.stored({ ok: false, reply: refusal(rest) }, nowMs));
    else if (word === 'shutdown') take(session.shutDown(nowMs));
    else if (word === 'wait:') {
      nowMs += Number(rest);
      take(session.tick(nowMs));
    } else if (word !== 'policy:') throw new Error(`${at}: unknown step ${word}`);
    if (word === 'stored:' || word === 'refused:') message = undefined;
    const next = steps[i + 1]?.word;
    if (group.length > 0 && next !== 'C:' && next !== 'C=') {
      expect(replies, `${at}: every reply was expected`).toEqual([]);
      for (const bytes of cut(Uint8Array.from(group))) take(session.received(bytes, nowMs));
      group = [];
    }
  }
  expect({ replies, message, closed }).toEqual({
    replies: [],
    message: undefined,
    closed: steps.at(-1)!.word === 'close',
  });
}

function policyOf(steps: readonly Step[]): SessionPolicy {
  const given = new Map(
    steps.filter(({ word }) => word === 'policy:').map(({ rest }) => rest.split(' ') as [string, string]),
  );
  const relayDomains = given.get('relayDomains')?.split(',');
  return {
    hostName: 'mx.example.com',
    maxMessageSizeBytes: Number(given.get('maxMessageSizeBytes') ?? 0),
    maxRecipients: Number(given.get('maxRecipients') ?? 0),
    maxMessageHops: Number(given.get('maxMessageHops') ?? 100),
    allowChunking: given.get('allowChunking') !== 'no',
    allowSmtputf8: given.get('allowSmtputf8') !== 'no',
    commandTimeoutMs: 300_000,
    dataTimeoutMs: 60_000,
    tellsCommands: false,
    judgeRecipient: ({ domain, routedLocalPart }) =>
      relayDomains === undefined || (relayDomains.includes(domain) && !routedLocalPart)
        ? undefined
        : replies.relayingDenied,
    judgeSender: () => (given.has('outOfSpace') ? replies.outOfSpace : undefined),
    mayAnswer: () => true,
  };
}

/** `~` stands for any text; `250- ...` for a whole multi-line reply; ` x19` at the end for that many. */
function expectReply(replies: string[], pattern: string, at: string): void {
  if (pattern.endsWith('- ...')) {
    const code = pattern.slice(0, 3);
    while (replies[0]?.startsWith(`${code}-`)) replies.shift();
    expect(replies.shift(), at).toMatch(new RegExp(`^${code} `));
    return;
  }
  const times = / x(\d+)$/.exec(pattern);
  const text = pattern.slice(0, times?.index);
  const literal = text.split('~').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  for (let left = Number(times?.[1] ?? 1); left > 0; left--) {
    expect(replies.shift() ?? 'no reply', at).toMatch(new RegExp(`^${literal.join('.*')}$`));
  }
}

function refusal(text: string) {
  const [code, enhanced, ...words] = text.split(' ');
  return { code: Number(code), enhanced: enhanced!, lines: [words.join(' ')] };
}

function describe(message: ReceivedMessage): string {
  const recipients = message.recipients
    .map(({ forwardPath, domain }) => `${forwardPath} -> ${domain}`)
    .join(', ');
  const eightBit = message.eightBit ? ' 8bit' : '';
  const protocol = message.protocol === 'ESMTP' ? '' : ` ${message.protocol}`;
  return `from ${message.reversePath} to ${recipients} size ${message.sizeBytes}${eightBit}${protocol}`;
}

/** `\r \n \0 \xNN` and `[x*600]`, which repeats. */
function unescaped(text: string): Uint8Array {
  const long = text.replace(/\[(.)\*(\d+)\]/g, (_, character: string, times: string) =>
    character.repeat(Number(times)),
  );
  const plain = long.replace(/\\(r|n|0|x[0-9a-f]{2})/g, (_, escaped: string) => {
    const code = { r: 13, n: 10, 0: 0 }[escaped] ?? Number.parseInt(escaped.slice(1), 16);
    return String.fromCharCode(code);
  });
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function lines(text: string): string[] {
  expect(text.endsWith('\r\n')).toBe(true);
  return text.slice(0, -2).split('\r\n');
}
