import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/node/clock.ts';
import { systemNet } from '../../base/node/net.ts';
import type { Endpoint } from '../../base/ports.ts';
import type { Config } from '../../config/config.ts';
import { askControl } from '../../control/client.ts';
import {
  type BuiltInReceiver,
  openReceiver,
  type ReceiverManner,
  startBuiltInReceiver,
} from '../../simulation/builtInReceiver.ts';
import { Supervisor } from '../../supervisor/supervisor.ts';
import { configurationOf } from '../configuration.ts';
import { packageVersion } from '../packageVersion.ts';
import { type DemoPlaces, demoConfigText, demoConfigTitle, usualPlaces } from './demoConfig.ts';
import { destinations, everybodyElse, receiverPort, streams } from './scene.ts';

const configName = 'demo.conf';
const acctName = /^acct.*\.csv$/;
/** Where to look for free ports: 2525, 3525 and so on. */
const portSteps = 20;

/** All that a demo starts: receivers, and a daemon with a configuration of its own. */
export class Stage {
  readonly places: DemoPlaces;
  readonly configFile: string;
  readonly config: Config;
  readonly #receivers: readonly BuiltInReceiver[];
  readonly #supervisor: Supervisor;

  private constructor(
    places: DemoPlaces,
    config: Config,
    receivers: readonly BuiltInReceiver[],
    supervisor: Supervisor,
  ) {
    this.places = places;
    this.configFile = join(places.folder, configName);
    this.config = config;
    this.#receivers = receivers;
    this.#supervisor = supervisor;
  }

  /** Receivers listen and the folder is made; no daemon yet. Rejects with the system's code. */
  static async set(seed: number, notice: (text: string) => void): Promise<Stage> {
    const receivers: BuiltInReceiver[] = [];
    try {
      for (const { isp, address, policy } of destinations) {
        const { hostName, replies } = isp;
        receivers.push(await startReceiver(address, { hostName, policy, replies, seed }));
      }
      receivers.push(await startReceiver(everybodyElse, openReceiver));
      const places: DemoPlaces = {
        folder: await cleanFolder(),
        listenerPorts: await freeListenerPorts(),
        receivers: receivers.slice(0, -1).map(({ at }) => at),
        otherReceiver: receivers.at(-1)!.at,
      };
      const configFile = join(places.folder, configName);
      await writeFile(configFile, demoConfigText(places));
      const { config } = await configurationOf(configFile);
      if (config === undefined) throw new Error(`${configFile} has errors`);
      const supervisor = new Supervisor({ config, configFile, version: packageVersion(), notice });
      return new Stage(places, config, receivers, supervisor);
    } catch (error) {
      for (const receiver of receivers) await receiver.close();
      throw error;
    }
  }

  get listeners(): readonly Endpoint[] {
    return this.places.listenerPorts.map((port) => ({ address: '127.0.0.1', port }));
  }

  /** True once the daemon accepts mail, false when it was interrupted before. */
  async open(interrupted: AbortSignal): Promise<boolean> {
    const other = await this.#supervisor.claim();
    if (other !== undefined) throw new Error(`another daemon uses ${this.places.folder}`);
    // Whatever a start hangs in, a stop ends it.
    const stop = (): void => void this.#supervisor.stop('interrupted');
    interrupted.addEventListener('abort', stop);
    const isOpen = !interrupted.aborted && (await this.#supervisor.start());
    interrupted.removeEventListener('abort', stop);
    return isOpen && !interrupted.aborted;
  }

  /** Ends all of it, whatever point it is at; what waits stays in the spool. */
  async close(): Promise<void> {
    await this.#supervisor.stop('the demo is over');
    await this.#supervisor.finished;
    for (const receiver of this.#receivers) await receiver.close();
  }

  /** The accounting files there are: their names tell the day. */
  async acctFiles(): Promise<readonly string[]> {
    const names = await readdir(this.places.folder);
    return names.filter((name) => acctName.test(name)).map((name) => join(this.places.folder, name));
  }

  /** What is left to read is small; mail that waits is not. */
  async removeSpool(): Promise<void> {
    await rm(join(this.places.folder, 'spool'), { recursive: true, force: true });
  }
}

/** At its usual port, or at any where that is in use. */
async function startReceiver(address: string, manner: ReceiverManner): Promise<BuiltInReceiver> {
  const startAt = (port: number): Promise<BuiltInReceiver> =>
    startBuiltInReceiver(systemNet(), systemClock(), { address, port }, manner);
  return startAt(receiverPort).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    return startAt(0);
  });
}

async function freeListenerPorts(): Promise<readonly number[]> {
  for (let step = 0; step < portSteps; step++) {
    const ports = streams.map(({ port }) => port + 1000 * step);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
  }
  throw Object.assign(new Error('no three ports are free on 127.0.0.1'), { code: 'EADDRINUSE' });
}

async function isFree(port: number): Promise<boolean> {
  const at = { address: '127.0.0.1', port };
  try {
    const listening = await systemNet().listen(at, (connection) => {
      connection.reset();
      return { received: () => {}, ended: () => {}, drained: () => {}, closed: () => {} };
    });
    await listening.close();
    return true;
  } catch {
    return false;
  }
}

/** The demo's own, emptied of its last run; a new one where that is in use, not ours, or cannot be written. */
async function cleanFolder(): Promise<string> {
  const { folder } = usualPlaces;
  const isInUse = (await askControl(join(folder, 'penstock.sock'), 'status')).kind === 'answered';
  try {
    await mkdir(folder, { recursive: true });
    const names = await readdir(folder);
    if (!isInUse && (names.length === 0 || (await isOfDemo(folder)))) {
      for (const name of names.filter(isMadeByDemo)) await rm(join(folder, name), { recursive: true });
      return folder;
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code)) throw error;
  }
  return mkdtemp(join(tmpdir(), 'penstock-demo-'));
}

/** Nothing is removed from a folder whose configuration we have not written. */
async function isOfDemo(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, configName), 'utf8').catch(() => '');
  return text.startsWith(demoConfigTitle);
}

function isMadeByDemo(name: string): boolean {
  return ['spool', 'penstock.log', 'penstock.sock', configName].includes(name) || acctName.test(name);
}
