import type { Endpoint } from '../base/ports.ts';
import type { NoRoute } from '../delivery/mxSet.ts';
import type { PlannedEndpoint } from '../delivery/nextHop.ts';
import type { Refusal, RouteHost } from '../delivery/routeHost.ts';
import type { Route } from '../engine/routes.ts';
import type { SourceHost } from '../routing/routing.ts';
import { durationText } from './durationText.ts';
import type { Greeting } from './greet.ts';
import { pairLines } from './io.ts';
import { plainTable } from './plainTable.ts';

/** `penstock resolve --json`. Times are left to live, in seconds. */
export interface ResolveReport {
  readonly schema: 'penstock.resolve/1';
  readonly queue: string;
  /** The address mail leaves from; null: the system's choice. */
  readonly from: string | null;
  readonly ehloName: string;
  readonly nameServers: readonly string[];
  readonly by: Route['by'];
  readonly mx: readonly MxReport[];
  readonly hosts: readonly HostReport[];
  /** In the order in which they are tried. */
  readonly endpoints: readonly PlannedEndpoint[];
  /** In the same order; only with --connect. */
  readonly greetings?: readonly Greeting[];
  /** Why there is none. */
  readonly cause: Pick<NoRoute, 'status' | 'diagnostic' | 'means'> | null;
  /** bounce-upon-no-mx has an interval, and the domain has no MX: who has waited so long bounces. */
  readonly bouncesAfterS: number | null;
}

export interface MxReport {
  readonly domain: string;
  readonly answer: 'found' | 'noName' | 'noData' | 'failed';
  readonly code: string | null;
  readonly ttlS: number;
  readonly records: readonly { readonly preference: number; readonly exchange: string }[];
}

export interface HostReport {
  readonly preference: number | null;
  readonly host: string;
  readonly port: number;
  readonly ttlS: number | null;
  /** `own`, `behindOwn`, `noName`, `noAddress`, or the code of a failure; null: it has addresses. */
  readonly problem: string | null;
  readonly addresses: readonly { readonly address: string; readonly refused: Refusal | null }[];
}

export interface Resolved {
  readonly queue: string;
  readonly sourceHost: SourceHost;
  readonly servers: readonly Endpoint[];
  readonly route: Route;
  readonly endpoints: readonly PlannedEndpoint[];
  readonly bounceUponNoMx: boolean | number;
}

export function resolveReport(resolved: Resolved): ResolveReport {
  const { queue, sourceHost, servers, route, endpoints, bounceUponNoMx } = resolved;
  const { by, lookups, groups, trouble, hasNoMx } = route;
  const isPatient = hasNoMx && typeof bounceUponNoMx === 'number';
  return {
    schema: 'penstock.resolve/1',
    queue,
    from: sourceHost.localAddress ?? null,
    ehloName: sourceHost.ehloName,
    nameServers: servers.map(({ address, port }) => (port === 53 ? address : endpointText(address, port))),
    by,
    mx: lookups.map(({ domain, answer, leftMs }) => ({
      domain,
      answer: answer.kind === 'none' ? (answer.exists ? 'noData' : 'noName') : answer.kind,
      code: answer.kind === 'failed' ? answer.code : null,
      ttlS: seconds(leftMs),
      records: answer.kind === 'found' ? [...answer.records].sort((x, y) => x.preference - y.preference) : [],
    })),
    hosts: groups.flat().map(hostReport),
    endpoints,
    cause:
      trouble === undefined
        ? null
        : { means: trouble.means, status: trouble.status, diagnostic: trouble.diagnostic },
    bouncesAfterS: isPatient ? seconds(bounceUponNoMx) : null,
  };
}

function hostReport({ host, port, preference, addresses, trouble, out, leftMs }: RouteHost): HostReport {
  return {
    preference: preference ?? null,
    host,
    port,
    ttlS: leftMs === undefined ? null : seconds(leftMs),
    problem: out ?? (trouble?.kind === 'failed' ? trouble.code : (trouble?.kind ?? null)),
    addresses: addresses.map(({ address, refused }) => ({ address, refused: refused ?? null })),
  };
}

export function resolveLines(report: ResolveReport): string[] {
  const { queue, from, ehloName, nameServers, hosts, cause, bouncesAfterS } = report;
  return [
    ...pairLines([
      ['queue', queue],
      ['leaves from', `${from ?? "an address of the system's choice"}, EHLO ${ehloName}`],
      ['name servers', nameServers.join(', ')],
      ...routePairs(report),
    ]),
    ...(hosts.length === 0 ? [] : ['', ...plainTable(['>pref', 'host', 'address', ''], hostRows(report))]),
    '',
    ...(cause === null
      ? endpointLines(report)
      : pairLines([
          ['no route', `${cause.status} ${cause.diagnostic}`],
          ['so', meanings[cause.means]],
        ])),
    ...(bouncesAfterS === null
      ? []
      : [`Who has waited ${durationText(bouncesAfterS * 1000)} for it bounces: bounce-upon-no-mx.`]),
  ];
}

const meanings: Readonly<Record<NoRoute['means'], string>> = {
  bounce: 'its mail bounces at once',
  dnsError: 'its mail waits, and name servers are asked again',
  wait: 'its mail waits, as for a host that does not answer',
};

const routes: Readonly<Record<Route['by'], string>> = {
  smtpHosts: 'smtp-hosts',
  literal: 'the address itself',
  mx: 'DNS',
};

const answers: Readonly<Record<Exclude<MxReport['answer'], 'failed'>, string>> = {
  found: 'found',
  noName: 'no such domain',
  noData: 'none: the domain is its own host',
};

function routePairs({ by, mx }: ResolveReport): readonly (readonly [string, string])[] {
  return [
    ['decided by', routes[by]],
    ...mx.map(({ domain, answer, code, ttlS, records }) => {
      const said = answer === 'failed' ? `failed (${code})` : answers[answer];
      const found = records.map(({ preference, exchange }) => `${preference} ${exchange}`).join(', ');
      const text = answer === 'found' ? found : said;
      return [`MX of ${domain}`, `${text}; holds ${durationText(ttlS * 1000)}`] as const;
    }),
  ];
}

const problems: Readonly<Record<string, string>> = {
  own: 'this server: it and all behind it are out',
  behindOwn: 'no better than this server',
  noName: 'no such name',
  noAddress: 'no address',
};

function hostRows({ hosts, from }: ResolveReport): (string | number)[][] {
  return hosts.flatMap(({ preference, host, ttlS, problem, addresses }) => {
    const first = problem === null ? '' : (problems[problem] ?? `looking it up failed (${problem})`);
    const name = ttlS === null ? host : `${host} (${durationText(ttlS * 1000)})`;
    if (addresses.length === 0) return [[preference ?? '', name, '', first]];
    return addresses.map(({ address, refused }, i) => {
      const note = refused === null ? first : `not tried: ${refusalText(refused, from)}`;
      return i === 0 ? [preference ?? '', name, address, note] : ['', '', address, note];
    });
  });
}

function refusalText(refused: Refusal, from: string | null): string {
  return refused === 'otherFamily' ? `not reached from ${from}` : `${refused} (see allow-loopback-mx)`;
}

function endpointLines({ endpoints, greetings }: ResolveReport): readonly string[] {
  return plainTable(
    ['>try', 'host', 'endpoint', ''],
    endpoints.map(({ host, address, port }, i) => [
      i + 1,
      host,
      endpointText(address, port),
      greetingText(greetings?.[i]),
    ]),
  );
}

function greetingText(greeting: Greeting | undefined): string {
  if (greeting === undefined) return '';
  return greeting.kind === 'greeted' ? greeting.reply : greeting.code;
}

function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function seconds(ms: number): number {
  return Math.round(ms / 1000);
}
