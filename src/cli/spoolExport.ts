import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemDigest } from '../base/node/digest.ts';
import { systemDisk } from '../base/node/disk.ts';
import type { Content, Envelope } from '../message/envelope.ts';
import { formatMessageId, parseMessageId } from '../message/messageId.ts';
import { dotUnstuffed } from '../protocol/dotStuffing.ts';
import { isQuarantined, type OwedAfterRestart } from '../spool/owed.ts';
import { type Retrieved, Retriever } from '../spool/retriever.ts';
import { type Failure, misuse } from './failure.ts';
import { type EngineFolder, engineFolders, inspectFolder, readingFailed } from './spoolFolders.ts';
import { spoolOptions, textOption, type Verb } from './verb.ts';

export interface SpoolExportReport {
  readonly schema: 'penstock.spoolExport/1';
  readonly folder: string;
  /** Written, those included that are not whole. */
  readonly messages: number;
  /** Ids of messages that cannot be read as they were stored. */
  readonly damaged: readonly string[];
  /** Engines that were at work meanwhile: they may deliver what was written. */
  readonly running: readonly string[];
}

/** The `.json` beside a message. */
export interface SpooledMessageReport {
  readonly schema: 'penstock.spooledMessage/1';
  readonly engine: string;
  readonly id: string;
  /** The file with its content; undefined: nothing of it can be read. */
  readonly content: string | undefined;
  /** Envelope and content are as they were stored. */
  readonly isWhole: boolean;
  /** undefined: it cannot be read. Who is still owed stands in `owed`. */
  readonly envelope:
    | (Omit<Envelope, 'id' | 'recipients' | 'wireForm'> & { readonly recipients: number })
    | undefined;
  readonly owed: readonly OwedRecipientReport[];
}

export interface OwedRecipientReport {
  /** Place in the envelope. */
  readonly index: number;
  /** undefined: the envelope cannot be read. */
  readonly forwardPath: string | undefined;
  readonly orcpt: string | undefined;
  readonly domain: string;
  readonly attempts: number;
  /** Wall milliseconds; undefined: it was never deferred. */
  readonly nextTryMs: number | undefined;
  /** Why it is kept back from delivery, or undefined. */
  readonly heldFor: string | undefined;
}

interface Selection {
  readonly onlyHeld: boolean;
  readonly id: string | undefined;
}

/** How often is looked again for messages that an engine moved elsewhere meanwhile. */
const looksMax = 3;

export const spoolExport: Verb = {
  name: 'spool export',
  summary: 'write every owed message into files of its own, the spool unchanged',
  argument: ['DIR', 'a folder that does not exist yet'],
  options: [
    { flags: '--held', meaning: 'only messages of which something is kept back from delivery' },
    { flags: '--id ID', meaning: 'only this message' },
    ...spoolOptions,
  ],
  async run(io, { argument, options }) {
    const id = textOption(options, 'id');
    if (id !== undefined && parseMessageId(id) === undefined) return misuse(`not a message id: ${id}`);
    const folders = await engineFolders(options);
    if ('exit' in folders) return folders;
    const selection = { onlyHeld: options.held === true, id };
    const report = await exportAll(folders, resolve(argument), selection).catch(readingFailed);
    if ('exit' in report) return report;
    if (options.json) io.out(JSON.stringify(report));
    else io.out(`${report.messages} messages written to ${argument}`);
    for (const name of report.running) {
      io.err(`penstock spool export: ${name} is at work, and may deliver what was written.`);
    }
    if (report.damaged.length === 0) return 'ok';
    const message = `${report.damaged.length} of them are not whole: ${report.damaged.slice(0, 10).join(' ')}`;
    return { exit: 'error', code: 'damaged', message, fix: 'Their .json says what could be read.' };
  },
};

async function exportAll(
  folders: readonly EngineFolder[],
  target: string,
  selection: Selection,
): Promise<SpoolExportReport | Failure> {
  try {
    await mkdir(target, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw error;
    return { exit: 'error', code, message: `${target} is there already, and nothing is overwritten` };
  }
  const damaged: string[] = [];
  const running: string[] = [];
  let messages = 0;
  for (const folder of folders) {
    // Each engine gives ids for itself.
    const into = folders.length === 1 ? target : join(target, folder.name);
    if (into !== target) await mkdir(into, { mode: 0o700 });
    const written = await exportFolder(folder, into, selection);
    messages += written.isWhole.size;
    for (const [id, isWhole] of written.isWhole) if (!isWhole) damaged.push(id);
    if (written.isInMotion) running.push(folder.name);
  }
  if (messages === 0 && selection.id !== undefined) {
    return { exit: 'error', code: 'notOwed', message: `nothing is owed of ${selection.id}` };
  }
  return { schema: 'penstock.spoolExport/1', folder: target, messages, damaged, running };
}

/** By id, whether it could be written whole. */
async function exportFolder(
  folder: EngineFolder,
  into: string,
  selection: Selection,
): Promise<{ readonly isWhole: ReadonlyMap<string, boolean>; readonly isInMotion: boolean }> {
  const ports = { disk: systemDisk(), digest: systemDigest() };
  const isWhole = new Map<string, boolean>();
  /** Taken away while it was looked for: settled meanwhile, or moved, and then a second look finds it. */
  let gone: ReadonlySet<string> = new Set();
  for (let looks = 1; ; looks++) {
    const { inspection, isInMotion } = await inspectFolder(folder);
    const retriever = new Retriever(ports, folder.path, inspection.salts);
    const goneNow = new Set<string>();
    for (const owed of inspection.owed) {
      const id = formatMessageId(owed.id);
      if (looks === 1 ? !isWanted(owed, id, selection) : !gone.has(id)) continue;
      const retrieved = await retriever.message(owed).catch(unlessGone);
      // Beside an engine a content may be on its way there, or away: only what is seen again is believed.
      if (retrieved === undefined || (!retrieved.isWhole && isInMotion && looks < looksMax)) {
        goneNow.add(id);
        continue;
      }
      await writeMessage(into, folder.name, owed, retrieved);
      isWhole.set(id, retrieved.isWhole);
    }
    await retriever.close();
    if (goneNow.size === 0 || looks === looksMax) return { isWhole, isInMotion };
    gone = goneNow;
  }
}

function isWanted(
  { recipients }: OwedAfterRestart,
  id: string,
  { onlyHeld, id: onlyId }: Selection,
): boolean {
  if (onlyId !== undefined && id !== onlyId) return false;
  return !onlyHeld || recipients.some(isQuarantined);
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

async function writeMessage(
  folder: string,
  engine: string,
  owed: OwedAfterRestart,
  { envelope, content, isWhole }: Retrieved,
): Promise<void> {
  const id = formatMessageId(owed.id);
  const name = content && `${id}.${isWhole ? 'eml' : 'damaged'}`;
  if (name !== undefined) await writeNew(join(folder, name), Buffer.concat(exported(content!, envelope)));
  const report: SpooledMessageReport = {
    schema: 'penstock.spooledMessage/1',
    engine,
    id,
    content: name,
    isWhole,
    envelope: envelope && { ...withoutId(envelope), recipients: envelope.recipients.length },
    owed: owed.recipients.map(({ index, domain, attempts, nextTryMs, heldFor }) => ({
      index,
      forwardPath: envelope?.recipients[index]?.forwardPath,
      orcpt: envelope?.recipients[index]?.orcpt,
      domain,
      attempts,
      nextTryMs: nextTryMs === 0 ? undefined : nextTryMs,
      heldFor,
    })),
  };
  await writeNew(join(folder, `${id}.json`), Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`));
}

function withoutId({
  id: _,
  recipients: __,
  wireForm: ___,
  ...rest
}: Envelope): Omit<Envelope, 'id' | 'recipients' | 'wireForm'> {
  return rest;
}

/** As a receiver would see it: our trace header, then the message without what the transport added. */
function exported({ prefix, chunks }: Content, envelope: Envelope | undefined): readonly Uint8Array[] {
  const isStuffed = envelope?.wireForm === 'dotStuffed';
  return [prefix, ...(isStuffed ? chunks.flatMap(dotUnstuffed) : chunks)];
}

function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  return writeFile(path, bytes, { flag: 'wx', mode: 0o600 });
}
