import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dotStuffed } from '../ledger/content.ts';

export interface Mail {
  readonly from: string;
  readonly to: string;
  /** In CRLF; the client stuffs the dots. */
  readonly content: Buffer;
  /** Parameters of MAIL beyond those the client gives by itself; smtplib only. */
  readonly mailOptions?: readonly string[];
}

export interface Target {
  readonly port: number;
  /** The address to connect from; default: the system's choice, 127.0.0.1. */
  readonly clientAddress?: string;
}

export interface Ended {
  /** -1: killed when its time was up. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that ends within `maxMs` or is ended; texts in latin1. */
export async function run(
  program: string,
  args: readonly string[],
  input: string | Buffer = '',
  maxMs = 240_000,
): Promise<Ended> {
  const child = spawn(program, args, { stdio: 'pipe', timeout: maxMs, killSignal: 'SIGKILL' });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('latin1').on('data', (text: string) => {
      said[name] += text;
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  return { status, ...said };
}

/** How a client sends: for each mail the reply that decided, or what the client said of the connection. */
export type SendAll = (mails: readonly Mail[], target: Target) => Promise<string[]>;

export const clients: Readonly<Record<'swaks' | 'curl' | 'smtplib' | 'msmtp', SendAll>> = {
  /** One process and connection a mail. */
  async swaks(mails, target) {
    return inFiles(mails, swaksForm, async (files) => {
      const replies: string[] = [];
      for (const [i, mail] of mails.entries()) {
        const args = ['--from', mail.from, '--to', mail.to, '--data', `@${files[i]}`];
        // Without its changes to the content, among them taking off a `From ` line.
        replies.push(swaksReply(await swaks(target, [...args, '--no-data-fixup', '--suppress-data'])));
      }
      return replies;
    });
  },

  /** One process for all; after a refusal it says QUIT. */
  async curl(mails, target) {
    return inFiles(mails, asIs, async (files) => {
      const transfers = mails.map((mail, i) => curlTransfer(mail, files[i]!, target));
      const { stderr } = await run('curl', ['--config', '-'], transfers.join('next\n'));
      return stderr
        .split(`${curlEnd}\n`)
        .slice(0, -1)
        .map(
          (one) => lastOf(one, /^(?:< ((?!221)\d{3} .*)|\* (Recv failure.*|Failed to connect.*))$/gm) ?? one,
        );
    });
  },

  /** One session for all. */
  async smtplib(mails, target) {
    return (await smtplib(mails, target)).replies;
  },

  /** One process and connection a mail. It wants LF, adds header fields it misses, and tells refusals only. */
  async msmtp(mails, target) {
    const replies: string[] = [];
    for (const { from, to, content } of mails) {
      const input = Buffer.from(content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
      const { status, stderr } = await msmtp(target, ['--from', from, '--', to], input);
      const refusal = lastOf(stderr, /^msmtp: server message: (.*)$/gm) ?? stderr;
      replies.push(status === 0 ? '250 sent' : refusal);
    }
    return replies;
  },
};

/** One msmtp run; with `--host` it reads no configuration file. */
export function msmtp(target: Target, args: readonly string[], input?: Buffer): Promise<Ended> {
  const from = target.clientAddress === undefined ? [] : ['--source-ip', target.clientAddress];
  const server = ['--host', '127.0.0.1', '--port', `${target.port}`, '--domain', 'msmtp.test'];
  return run('msmtp', [...server, ...from, '--auth=off', '--tls=off', '--timeout=60', ...args], input);
}

/** One swaks run with these arguments; the transcript is its standard output. */
export function swaks(target: Target, args: readonly string[]): Promise<Ended> {
  const from = target.clientAddress === undefined ? [] : ['--local-interface', target.clientAddress];
  const server = ['--server', `127.0.0.1:${target.port}`, '--helo', 'swaks.test', '--timeout', '60'];
  return run('swaks', [...server, ...from, ...args]);
}

/** The last reply before the one to QUIT, or why there was none. */
export function swaksReply({ stdout, stderr }: Ended): string {
  const beforeQuit = stdout.split('\n -> QUIT')[0]!;
  return lastOf(beforeQuit, /^(?:<(?:- |\*\*) (\d{3} .*)|(\*\*\* .*))$/gm) ?? stdout + stderr;
}

export interface SmtplibSaid {
  readonly replies: string[];
  /** The keywords of the EHLO reply in lower case, with their arguments. */
  readonly features: Readonly<Record<string, string>>;
}

export async function smtplib(mails: readonly Mail[], target: Target): Promise<SmtplibSaid> {
  return inFiles(mails, asIs, async (files) => {
    const listed = mails.map(({ content: _, ...mail }, i) => ({ ...mail, file: files[i] }));
    const job = JSON.stringify({ ...target, mails: listed });
    const { stdout, stderr } = await run('python3', ['test/interop/smtplibClient.py'], job);
    if (stdout === '') throw new Error(`smtplib: ${stderr}`);
    return JSON.parse(stdout) as SmtplibSaid;
  });
}

/** swaks sends this as it stands, and a CRLF. */
const swaksForm = (content: Buffer): Buffer => Buffer.concat([dotStuffed(content), Buffer.from('.')]);
const asIs = (content: Buffer): Buffer => content;

async function inFiles<T>(
  mails: readonly Mail[],
  form: (content: Buffer) => Buffer,
  use: (files: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-mails-'));
  try {
    const files = mails.map((_, i) => join(folder, `${i}.eml`));
    await Promise.all(mails.map(({ content }, i) => writeFile(files[i]!, form(content))));
    return await use(files);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Ends the part of one transfer in curl's verbose output. */
const curlEnd = '== transfer over';

function curlTransfer(mail: Mail, file: string, target: Target): string {
  const options: readonly (readonly [string, string])[] = [
    ['url', `smtp://127.0.0.1:${target.port}/curl.test`],
    ['mail-from', mail.from],
    ['mail-rcpt', mail.to],
    ['upload-file', file],
    ['max-time', '60'],
    ['write-out', `%{stderr}\\n${curlEnd}\\n`],
    ...(target.clientAddress === undefined ? [] : [['interface', target.clientAddress] as const]),
  ];
  return `${options.map(([name, value]) => `${name} = "${value}"\n`).join('')}verbose\nsilent\n`;
}

/** What the last match of `pattern` caught. */
function lastOf(text: string, pattern: RegExp): string | undefined {
  const match = [...text.replaceAll('\r', '').matchAll(pattern)].at(-1);
  return match?.slice(1).find((group) => group !== undefined);
}
