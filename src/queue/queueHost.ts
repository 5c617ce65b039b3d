import { cidrContains, parseCidr, parseIp } from '../base/ip.ts';
import type { CidrText, DomainSettings, Rate, SourceIpLimit } from '../config/config.ts';
import type { QueueName } from '../message/names.ts';
import { noRates, RateSet } from './rateSet.ts';
import type { QueueConnection } from './schedule.ts';

export type SourceIpSettings = Pick<
  DomainSettings,
  'sourceIpMaxSmtpOut' | 'sourceIpMaxMsgRate' | 'sourceIpMaxConnectRate' | 'sourceIpMaxDataVolumeRate'
>;

const noOpenings: readonly (readonly RateSet[])[] = [];

/** What a queue has to do with one local address: its connections from there, and what holds for them. */
export class QueueHost {
  /** The same object for each of them: they are alike. */
  readonly connection: QueueConnection;
  /** undefined: the system chooses. */
  readonly address: string | undefined;
  readonly maxSmtpOut: number;
  readonly rateSets: readonly RateSet[];
  /** It is not used before; Infinity: until it is enabled. undefined: it is not disabled. */
  disabledUntilMs: number | undefined;

  opening = 0;
  open = 0;
  /** Of the open ones: told to close. */
  closing = 0;
  /** Batches under delivery. */
  batches = 0;
  /** What each opening connection was counted with. */
  openings: readonly (readonly RateSet[])[] = noOpenings;

  constructor(queue: QueueName, sourceHost: number, address: string | undefined, settings: SourceIpSettings) {
    this.connection = { queue, sourceHost };
    this.address = address;
    const isLimited = hasSourceIpLimits(settings);
    this.maxSmtpOut = isLimited ? maxSmtpOutOf(settings, address) : Number.POSITIVE_INFINITY;
    this.rateSets = isLimited ? rateSetsOf(settings, address) : noRates;
  }

  connections(): number {
    return this.opening + this.open;
  }

  /** Pipelining may put two batches on one connection, hence the floor. */
  idle(): number {
    return Math.max(0, this.open - this.batches - this.closing);
  }

  /** When it may be used for another connection if nothing happens before; Infinity: that depends. */
  openAtMs(sizeBytes: number, nowMs: number): number {
    if (this.connections() >= this.maxSmtpOut) return Number.POSITIVE_INFINITY;
    let atMs = this.disabledUntilMs ?? nowMs;
    const batches = this.opening + this.idle() + 1;
    for (const rates of this.rateSets) atMs = Math.max(atMs, rates.openAtMs(batches, sizeBytes, nowMs));
    return atMs;
  }

  takeAtMs(sizeBytes: number, nowMs: number): number {
    let atMs = this.disabledUntilMs ?? nowMs;
    for (const rates of this.rateSets) atMs = Math.max(atMs, rates.takeAtMs(1, sizeBytes, nowMs));
    return atMs;
  }

  /** Nothing would be lost with it. */
  isAtRest(nowMs: number): boolean {
    return (
      this.connections() === 0 &&
      (this.disabledUntilMs ?? nowMs) <= nowMs &&
      this.rateSets.every((rates) => rates.isAtRest(nowMs))
    );
  }
}

export function hasSourceIpLimits(settings: SourceIpSettings): boolean {
  return (
    settings.sourceIpMaxSmtpOut.length +
      settings.sourceIpMaxMsgRate.length +
      settings.sourceIpMaxConnectRate.length +
      settings.sourceIpMaxDataVolumeRate.length >
    0
  );
}

function maxSmtpOutOf(settings: SourceIpSettings, address: string | undefined): number {
  const limits = matching(settings.sourceIpMaxSmtpOut, address).filter((limit) => limit > 0);
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

const directives = {
  msg: 'source-ip-max-msg-rate',
  connect: 'source-ip-max-connect-rate',
  data: 'source-ip-max-data-volume-rate',
};

/** Of all lines that match, each holds: as many sets as the directive with the most lines needs. */
function rateSetsOf(settings: SourceIpSettings, address: string | undefined): readonly RateSet[] {
  const msg = matching(settings.sourceIpMaxMsgRate, address);
  const connect = matching(settings.sourceIpMaxConnectRate, address);
  const data = matching(settings.sourceIpMaxDataVolumeRate, address);
  const sets = Array.from({ length: Math.max(msg.length, connect.length, data.length) }, (_, i) =>
    RateSet.of({ msg: msg[i], connect: connect[i], data: data[i] }, directives),
  );
  return sets.flat();
}

function matching<T extends number | Rate>(
  limits: readonly SourceIpLimit<T>[],
  address: string | undefined,
): readonly T[] {
  return limits
    .filter(({ ranges }) => ranges.some((range) => covers(range, address)))
    .map(({ value }) => value);
}

/** An address the system chooses may be any: only a range of all of them is sure to hold it. */
function covers({ address: first, bits }: CidrText, address: string | undefined): boolean {
  const ip = address === undefined ? undefined : parseIp(address);
  if (ip === undefined) return bits === 0;
  return cidrContains(parseCidr(`${first}/${bits}`)!, ip);
}
