import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseIp } from '../base/ip.ts';
import { systemClock } from '../base/node/clock.ts';
import { systemNet } from '../base/node/net.ts';
import type { Endpoint } from '../base/ports.ts';
import type { Config } from '../config/config.ts';
import type { StatusReport } from '../control/reports.ts';
import { AccountingTail, type NamedRow, valueIn } from './accountingTail.ts';
import { configurationOf } from './configuration.ts';
import { askDaemon, unreadable } from './daemon.ts';
import type { ExitName } from './exitCodes.ts';
import { type Failure, misuse } from './failure.ts';
import { type Io, pairLines } from './io.ts';
import { type SubmissionResult, submit } from './smtpClient.ts';
import { testMessage, withCrlf } from './testMessage.ts';
import { configOption, type GivenOptions, textOption, type Verb } from './verb.ts';

const waitDefaultSeconds = 30;
const pollMs = 100;

export const send: Verb = {
  name: 'send',
  summary: 'submit one message, show the dialogue and what accounting says of it',
  options: [
    { flags: '--to ADDRESS', meaning: 'the recipient', required: true },
    { flags: '--from ADDRESS', meaning: 'the sender; default: sender@penstock.test' },
    { flags: '--listener PORT', meaning: 'PORT or ADDRESS:PORT; default: the first one configured' },
    { flags: '--subject TEXT', meaning: 'default: Penstock test' },
    { flags: '--body TEXT', meaning: 'the text of the message' },
    { flags: '--file PATH', meaning: 'a whole message, header included, instead' },
    { flags: '--wait SECONDS', meaning: `for the accounting row; default: ${waitDefaultSeconds}` },
    { ...configOption, meaning: "the daemon's configuration; default: the embedded one" },
    // Beside --config, which tells the listener.
    { flags: '--socket PATH', meaning: "the daemon's control socket; default: beside its spool" },
  ],
  async run(io, { options }) {
    const to = textOption(options, 'to')!;
    const from = textOption(options, 'from') ?? 'sender@penstock.test';
    const wait = textOption(options, 'wait') ?? String(waitDefaultSeconds);
    const fault = faultIn(options, [to, from], wait);
    if (fault !== undefined) return misuse(fault);
    const waitSeconds = Number(wait);
    const { config } = await configurationOf(options.config);
    if (config === undefined) return unreadable(options);
    const listener = listenerOf(textOption(options, 'listener'), config);
    if (listener === undefined) return misuse('--listener takes PORT or ADDRESS:PORT');
    const content = await contentOf(options, from, to);
    if ('exit' in content) return content;
    const tail = await AccountingTail.start(await acctPaths(options, config));
    const dialogue: string[] = [];
    const result = await submit(systemNet(), { listener, from, to, content }, (side, line) => {
      dialogue.push(`${side}: ${line}`);
      if (!options.json) io.out(side === 'C' ? `C: ${line}` : io.dim(`S: ${line}`));
    });
    const rows = result.kind === 'accepted' ? await rowsOf(io, options, tail, to, waitSeconds * 1000) : [];
    const exit = exitOf(result, rows, waitSeconds);
    if (options.json) {
      const named = rows.map((row) => Object.fromEntries(row));
      io.out(JSON.stringify({ schema: 'penstock.send/1', outcome: exit, result, dialogue, rows: named }));
    }
    explain(io, exit, result, listener, to, waitSeconds);
    return exit;
  },
};

function faultIn(options: GivenOptions, addresses: readonly string[], wait: string): string | undefined {
  // Brackets and line ends would write other commands into the dialogue.
  const bad = addresses.find((address) => !/^[^\s<>]+@[^\s<>]+$/.test(address));
  if (bad !== undefined) return `not an address: ${bad}`;
  if (!/^\d+(?:\.\d+)?$/.test(wait)) return '--wait takes a number of seconds, such as 10 or 0.5';
  if (options.body !== undefined && options.file !== undefined) return '--body and --file exclude each other';
  return undefined;
}

/** `2526`, `127.0.0.1:2526`, `[::1]:2526`. A wildcard listener is reached on loopback. */
export function listenerOf(text: string | undefined, config: Config | undefined): Endpoint | undefined {
  if (text === undefined) {
    const first = config?.listeners[0];
    return first && { address: reachable(first.address), port: first.port };
  }
  const match = /^(?:\[?([0-9a-fA-F.:]+?)\]?:)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) return undefined;
  const configured = config?.listeners.find((listener) => listener.port === port)?.address;
  const address = match[1] ?? reachable(configured ?? '127.0.0.1');
  return parseIp(address) === undefined ? undefined : { address, port };
}

function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}

async function contentOf(options: GivenOptions, from: string, to: string): Promise<Uint8Array | Failure> {
  const file = textOption(options, 'file');
  if (file !== undefined) {
    return readFile(file).then(withCrlf, ({ code = 'unknown', message }: NodeJS.ErrnoException) => {
      const exit = code === 'EACCES' ? 'permission' : 'error';
      return { exit, code, message: `cannot read ${file}: ${message}` };
    });
  }
  const clock = systemClock();
  const nowMs = clock.wallMs();
  return testMessage({
    from,
    to,
    subject: textOption(options, 'subject') ?? 'Penstock test',
    body: textOption(options, 'body') ?? 'Sent by penstock send.\n',
    nowMs,
    zoneOffsetMinutes: clock.zoneOffsetMinutes(nowMs),
    id: randomUUID(),
  });
}

/** The daemon's own word first; without one, the configuration's. */
async function acctPaths(options: GivenOptions, config: Config | undefined): Promise<readonly string[]> {
  const asked = await askDaemon<StatusReport>(options, 'status');
  if ('result' in asked) return asked.result.acctFiles.map(({ path }) => path);
  return config?.acctFiles.map(({ path }) => path) ?? [];
}

/** Shows each row of this recipient as it comes, until the terminal one. */
async function rowsOf(
  io: Io,
  options: GivenOptions,
  tail: AccountingTail,
  to: string,
  waitMs: number,
): Promise<NamedRow[]> {
  const rows: NamedRow[] = [];
  for (const endMs = Date.now() + waitMs; ; ) {
    const fresh = (await tail.read()).filter((row) => valueIn(row, 'rcpt') === to);
    for (const row of fresh) {
      rows.push(row);
      if (!options.json) for (const line of ['', ...pairLines(row)]) io.out(line);
    }
    if (rows.some(isTerminal) || Date.now() >= endMs) return rows;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function isTerminal(row: NamedRow): boolean {
  return ['d', 'b'].includes(valueIn(row, 'type'));
}

function exitOf(result: SubmissionResult, rows: readonly NamedRow[], waitSeconds: number): ExitName {
  if (result.kind === 'refused') return 'refused';
  if (result.kind === 'unreachable') return 'unreachable';
  if (waitSeconds === 0) return 'ok';
  const last = rows.find(isTerminal);
  if (last === undefined) return 'unknown';
  return valueIn(last, 'type') === 'd' ? 'ok' : 'refused';
}

function explain(
  io: Io,
  exit: ExitName,
  result: SubmissionResult,
  { address, port }: Endpoint,
  to: string,
  waitSeconds: number,
): void {
  const at = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  if (result.kind === 'unreachable') {
    const why = result.code === 'CLOSED' || result.code === 'ECONNRESET' ? 'hung up' : 'does not answer';
    io.err(`penstock send: the listener ${at} ${why} (${result.code}).`);
    io.err('Is the daemon running ("penstock status"), and may this host connect there?');
  } else if (result.kind === 'refused') io.err(`penstock send: refused: ${result.reply}`);
  else if (exit === 'unknown') {
    io.err(`penstock send: accepted, but no outcome for ${to} within ${waitSeconds} s.`);
    io.err('"penstock queue list" shows what waits, and why.');
  }
}
