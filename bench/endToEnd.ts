import { execFileSync, fork } from 'node:child_process';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figure, spreadOf, spreadText, table } from './figures.ts';
import {
  type RoundFigures,
  type RoundOrder,
  type ScenarioName,
  type ServerName,
  scenarios,
} from './scenarios.ts';
import { missingServer } from './servers.ts';

export interface EndToEndOptions {
  readonly names: readonly ScenarioName[];
  /** The root of the checkout to measure, and of the one to compare it with. */
  readonly here: string;
  readonly against: string | undefined;
  /** Beside the peers that are installed. */
  readonly withPeers: boolean;
  /** 3 */
  readonly rounds: number | undefined;
  /** How long each round is measured; 3. */
  readonly seconds: number | undefined;
}

const columns: readonly (readonly [string, keyof RoundFigures])[] = [
  ['messages/s', 'messagesPerSecond'],
  ['CPU us/message', 'cpuUsPerMessage'],
  ['p50 ms', 'p50Ms'],
  ['p99 ms', 'p99Ms'],
  ['bench us/message', 'benchCpuUsPerMessage'],
];

interface Side {
  readonly label: string;
  readonly server: ServerName;
  readonly root: string;
}

interface MeasuredSide extends Side {
  readonly figures: RoundFigures[];
}

/** The real daemon over loopback. Rounds of what it is compared with are interleaved with its own. */
export async function benchEndToEnd(options: EndToEndOptions): Promise<void> {
  const { names, rounds = 3, seconds = 3 } = options;
  const sides = sidesOf(options);
  // Whatever has to be installed or built is so now, not within a round.
  for (const { root } of sides) execFileSync(process.execPath, [join(root, 'bin/penstock'), '--version']);
  for (const name of names) await benchScenario(name, sides, rounds, seconds, !options.withPeers);
}

/** The last one is ours; what it is compared with comes before. */
function sidesOf({ here, against, withPeers }: EndToEndOptions): readonly Side[] {
  const ours: Side = { label: '', server: 'penstock', root: here };
  if (withPeers) {
    const peers = peerNames.filter((server) => {
      const why = missingServer(server);
      if (why !== undefined) console.log(`\n*** SKIPPED: ${server} (${why})`);
      return why === undefined;
    });
    const sides = peers.map((server) => ({ label: ` ${server}`, server, root: here }));
    return [...sides, { ...ours, label: ' penstock' }];
  }
  if (against === undefined) return [ours];
  return [
    { ...ours, label: ' against', root: against },
    { ...ours, label: ' here' },
  ];
}

const peerNames: readonly ServerName[] = ['postfix', 'haraka'];

async function benchScenario(
  name: ScenarioName,
  sides: readonly Side[],
  rounds: number,
  seconds: number,
  isChained: boolean,
): Promise<void> {
  const scenario = scenarios[name];
  const { connections, sizeBytes, nextHop, durability } = scenario;
  console.log(
    `\n${name}: ${connections} connections, ${sizeBytes} bytes a message, next hop ${nextHop}, durability ${durability}`,
  );
  const measured: readonly MeasuredSide[] = sides.map((side) => ({ ...side, figures: [] }));
  const rows: string[][] = [['round', ...columns.map(([title]) => title), 'load average']];
  for (let round = 1; round <= rounds; round++) {
    for (const { label, server, root, figures } of measured) {
      const roundFigures = await runRound(root, { server, scenario, seconds, isChained });
      figures.push(roundFigures);
      const cells = columns.map(([, key]) => figure(roundFigures[key]));
      rows.push([`${round}${label}`, ...cells, figure(loadavg()[0]!)]);
    }
  }
  for (const side of measured) {
    const cells = columns.map(([, key]) => spreadText(spreadOf(valuesOf(side, key))));
    rows.push([`median${side.label}`, ...cells, '']);
  }
  const ours = measured.at(-1)!;
  for (const other of measured.slice(0, -1)) rows.push(...ratioRows(other, ours));
  console.log(table(rows));
}

function valuesOf({ figures }: MeasuredSide, key: keyof RoundFigures): number[] {
  return figures.map((roundFigures) => roundFigures[key]);
}

function ratioRows(before: MeasuredSide, after: MeasuredSide): string[][] {
  const cells = columns.map(([, key]) => {
    const [was, is] = [valuesOf(before, key), valuesOf(after, key)];
    const { min, max } = spreadOf(is.map((value, round) => value / was[round]!));
    const ofMedians = spreadOf(is).median / spreadOf(was).median;
    return { ofMedians: figure(ofMedians), byRound: `${figure(min)}..${figure(max)}` };
  });
  const what = `${after.label.trim()} / ${before.label.trim()}`;
  return [
    [`${what}, medians`, ...cells.map(({ ofMedians }) => ofMedians), ''],
    [`${what}, each round`, ...cells.map(({ byRound }) => byRound), ''],
  ];
}

/** Resolves once the round's process has ended, and with it all it started. */
function runRound(root: string, order: RoundOrder): Promise<RoundFigures> {
  const script = fileURLToPath(new URL('./benchRound.js', import.meta.url));
  const child = fork(script, [JSON.stringify(order)], { cwd: root });
  let figures: RoundFigures | undefined;
  child.once('message', (message) => {
    figures = message as RoundFigures;
  });
  return new Promise((resolve, reject) => {
    child.once('exit', () => {
      if (figures === undefined) reject(new Error(`a round in ${root} failed, for what stands above`));
      else resolve(figures);
    });
  });
}
