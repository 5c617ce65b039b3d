import type { InjectorBehaviour } from './injectorBehaviour.ts';
import type { NetFaults } from './netFaults.ts';
import type { ReceiverBehaviour, ReceiverTrouble } from './receiverBehaviour.ts';
import type { SeededRandom } from './seededRandom.ts';
import type { DnsFaults } from './simulatedDns.ts';

/** Kinds of trouble a seed has or has not: each can be turned off by name, to find which one matters. */
export const faultClasses = [
  'disk.write',
  'disk.sync',
  'disk.folder',
  'disk.open',
  'disk.read',
  'disk.slow',
  'disk.stuck',
  'disk.full',
  'net',
  'partition',
  'dns',
  'receivers',
  'limits',
  'injectors',
  'wall',
  'crash.engine',
  'crash.supervisor',
  'crash.power',
  'operator',
] as const;

export type FaultClass = (typeof faultClasses)[number];

/** Behind a failed operation, within a recovery, behind a new segment, an unlink, a new cursor. */
export type PainfulMoment = 'failure' | 'recovery' | 'segment' | 'unlink' | 'cursor';

/** What a seed draws before it begins: printed when it fails. */
export interface FaultMix {
  readonly on: ReadonlySet<FaultClass>;
  /** The phase of faults ends here; what is not injected yet is injected in the calm. */
  readonly faultsMs: number;
  readonly messages: number;
  readonly connections: number;
  readonly pauseMs: number;
  readonly maxRecipients: number;
  /** Mean time between two disk faults, stuck or full spells. */
  readonly diskFaultEveryMs: number;
  /** How many of them are the spool's own: the recorder is at the disk far more often. */
  readonly spoolFaultRate: number;
  /** Crashes at drawn times. */
  readonly crashes: number;
  /** How many crashes are followed by another within seconds. */
  readonly pairRate: number;
  /** And how many by a disk that fails what starts again. */
  readonly sickStartRate: number;
  /** At moments where they hurt, how often one comes, and how many at most. */
  readonly painRate: number;
  readonly painfulCrashes: Readonly<Record<PainfulMoment, number>>;
  readonly segmentBytes: number;
  /** Contents as large as this have files of their own. */
  readonly bodyFileBytes: number;
  readonly diskMs: number;
  readonly net: NetFaults;
  readonly dns: DnsFaults;
  readonly injectors: InjectorBehaviour;
}

const minuteMs = 60_000;

/** Three classes of four are on, each at a rate of its own; at least one kind of crash always is. */
export function drawMix(random: SeededRandom): FaultMix {
  const on = new Set<FaultClass>(faultClasses.filter(() => !random.oneIn(4)));
  if (!faultClasses.some((one) => one.startsWith('crash.') && on.has(one))) on.add('crash.engine');
  const rate = (most: number): number => (random.oneIn(3) ? 0 : (random.below(1000) / 1000) * most);
  const messages = 200;
  const connections = 2 + random.below(8);
  const pauseMs = random.pick([500, 2000, 5000]);
  // About as long as the injection takes, and then some: faults that meet nobody find nothing.
  const faultsMs = Math.round(30_000 + (1.5 * messages * (pauseMs / 2 + 500)) / connections);
  return {
    on,
    faultsMs,
    messages,
    connections,
    pauseMs,
    maxRecipients: 1 + random.below(3),
    diskFaultEveryMs: faultsMs / random.pick([5, 15, 40]),
    spoolFaultRate: 0.5,
    crashes: 1 + random.below(3),
    pairRate: 0.25,
    sickStartRate: 0.3,
    painRate: 0.25,
    painfulCrashes: {
      failure: random.below(2),
      recovery: random.below(2),
      segment: random.below(2),
      unlink: random.below(2),
      cursor: random.below(2),
    },
    segmentBytes: random.pick([16, 32, 96]) * 1024,
    bodyFileBytes: random.pick([8, 30, 30]) * 1024,
    diskMs: random.pick([0.3, 0.3, 3, 20]),
    net: {
      latencyMs: 1 + random.below(60),
      slowRate: rate(0.05),
      slowMs: 2000,
      splitRate: rate(0.2),
      resetRate: rate(0.15),
      refuseRate: rate(0.15),
      blackholeRate: rate(0.05),
      tightWindowRate: rate(0.2),
    },
    dns: {
      latencyMs: 50,
      servfailRate: rate(0.1),
      timeoutRate: rate(0.05),
      nxdomainRate: rate(0.05),
      flapRate: rate(0.02),
      flapMs: 3 * minuteMs,
    },
    injectors: {
      pipelineRate: rate(1),
      abortRate: rate(0.1),
      vanishRate: rate(0.1),
      halfCloseRate: rate(0.1),
      resetRate: rate(0.2),
      reuseRate: 0.5 + rate(0.5),
      largeRate: random.oneIn(20) ? 0.01 : 0,
      chunkingRate: rate(0.3),
    },
  };
}

/** The same with some classes off, and fewer messages: for shrinking. */
export function lessOf(mix: FaultMix, off: ReadonlySet<FaultClass>, messages: number): FaultMix {
  const on = new Set([...mix.on].filter((one) => !off.has(one)));
  return { ...mix, on, messages: Math.min(mix.messages, messages) };
}

/** One line a person can read. */
export function mixText(mix: FaultMix): string {
  const { on, ...drawn } = mix;
  return `${[...on].join(' ')} ${JSON.stringify(drawn)}`;
}

/** How one modelled ISP behaves in the phase of faults. */
export function drawReceiver(
  random: SeededRandom,
  mix: FaultMix,
  friendly: ReceiverBehaviour,
  isTlsOnly: boolean,
): ReceiverBehaviour {
  const isOdd = mix.on.has('receivers');
  const isLimited = mix.on.has('limits');
  const rate = (most: number): number => (random.oneIn(2) ? 0 : (random.below(1000) / 1000) * most);
  const odd = isOdd ? rate : () => 0;
  return {
    ...friendly,
    extensions: drawExtensions(random, friendly.extensions ?? [], isTlsOnly),
    maxConnections: isLimited && random.oneIn(3) ? 1 + random.below(3) : 0,
    overConnections: random.oneIn(2) ? 'close' : 'reset',
    maxMessagesPerConnection: isLimited && random.oneIn(3) ? 1 + random.below(4) : 0,
    rateMessages: isLimited && random.oneIn(4) ? 3 + random.below(10) : 0,
    rateWindowMs: minuteMs,
    greylistMs: isOdd && random.oneIn(4) ? random.below(4) * minuteMs : 0,
    escalationMs: isLimited && random.oneIn(4) ? 30_000 : 0,
    refuseRate: rate(0.3),
    deferRate: rate(0.3),
    deferTimes: 1 + random.below(3),
    atDotRate: rate(1),
    tarpitMs: isOdd && random.oneIn(4) ? random.below(3000) : 0,
    oddReplyRate: odd(0.5),
    stallRate: odd(0.05),
    stallMs: minuteMs,
    troubles: isOdd ? drawTroubles(random) : [],
  };
}

/** Who is to get nothing in the clear offers TLS, or nothing would ever arrive. */
function drawExtensions(
  random: SeededRandom,
  usual: readonly string[],
  isTlsOnly: boolean,
): readonly string[] | undefined {
  if (!isTlsOnly && random.oneIn(6)) return undefined;
  const extensions = random.oneIn(3) ? ['8BITMIME'] : usual;
  return isTlsOnly || random.oneIn(2) ? [...extensions, 'STARTTLS'] : extensions;
}

function drawTroubles(random: SeededRandom): readonly ReceiverTrouble[] {
  const opening = ['greeting', 'ehlo', 'starttls', 'tls'] as const;
  const stages = [...opening, 'mail', 'rcpt', 'data', 'content', 'dot', 'taken', 'quit'] as const;
  const ways = ['defer', 'close', 'silence', 'hangUp', 'reset'] as const;
  return Array.from({ length: random.below(5) }, () => {
    const at = random.pick(stages);
    const how = at === 'starttls' && random.oneIn(3) ? 'inject' : random.pick(ways);
    return { at, how, rate: (random.below(1000) / 1000) * 0.15 };
  });
}
