import type { Endpoint } from '../../base/ports.ts';
import { destinations, everybodyElse, receiverPort, type Stream, streams } from './scene.ts';

/** Where a run of the demo takes place. */
export interface DemoPlaces {
  /** Holds all that the demo writes. */
  readonly folder: string;
  /** Of the streams, in their order. */
  readonly listenerPorts: readonly number[];
  /** Of the destinations, in their order. */
  readonly receivers: readonly Endpoint[];
  /** For all other mail. */
  readonly otherReceiver: Endpoint;
}

/** The places of a demo that finds everything free. */
export const usualPlaces: DemoPlaces = {
  folder: './var/demo',
  listenerPorts: streams.map(({ port }) => port),
  receivers: destinations.map(({ address }) => ({ address, port: receiverPort })),
  otherReceiver: { address: everybodyElse, port: receiverPort },
};

/** How it begins, and how we know it again. */
export const demoConfigTitle = '# The configuration of "penstock demo".';

/** A complete configuration, for people to read. */
export function demoConfigText(places: DemoPlaces): string {
  const { folder, listenerPorts, receivers, otherReceiver } = places;
  const members = streams.flatMap(({ addresses }) => addresses);
  const sections = [
    `${demoConfigTitle} Nothing here leaves this machine.
postmaster postmaster@penstock.test
host-name  demo.penstock.test`,
    `# A port for each stream keeps them apart, down to the addresses they leave from.
${streams.map((stream, i) => listenerText(stream, listenerPorts[i]!)).join('\n')}`,
    `# Who hands over mail, and that X-Job names the job.
<source 127.0.0.1>
    always-allow-relaying yes
    process-x-job yes
</source>`,
    members.map(virtualMtaText).join('\n'),
    streams.map(poolText).join('\n'),
    patternText,
    `# Retries follow each other in seconds, for the demo lasts a minute. Real ones take longer.
<domain *>
    smtp-hosts ${hostText(otherReceiver)}
    retry-after 1s
    retry-recipients-after 2s
    bounce-after 4d
    # In backoff mode: one connection, a few messages a second.
    smtp-pattern-list enough
    backoff-max-smtp-out 1
    backoff-max-msg-rate 5/s
    backoff-retry-after 1s
    backoff-to-normal-after 10s
</domain>`,
    `# The ISPs: receivers of our own in their manner, each with limits by client address.
${destinations.map(({ isp }, i) => domainText(isp.domain, limits[isp.name]!, receivers[i]!)).join('\n')}`,
    `<spool ${folder}/spool>
</spool>
log-file ${folder}/penstock.log
<acct-file ${folder}/acct.csv>
    records d,b,t
</acct-file>`,
  ];
  return `${sections.join('\n\n')}\n`;
}

const patternText = String.raw`# What an ISP says when it has had enough of an address: that queue goes slowly for a while.
<smtp-pattern-list enough>
    reply /very low reputation/ mode=backoff
    reply /4\.7\.28|\(S775\)|\(S3114\)|\[TSS0[45]\]/ mode=backoff
</smtp-pattern-list>`;

/** What we allow ourselves for each virtual MTA: a little less than the ISP does. */
const limits: Readonly<Record<string, readonly string[]>> = {
  gmail: ['max-smtp-out 8', 'max-msg-per-connection 50', 'max-msg-rate 10/s'],
  microsoft: ['max-smtp-out 4', 'max-msg-per-connection 50', 'max-msg-rate 8/s'],
  yahoo: ['max-smtp-out 4', 'max-msg-per-connection 20', 'max-msg-rate 6/s'],
};

function listenerText({ pool }: Stream, port: number): string {
  return `<smtp-listener 127.0.0.1:${port}>
    default-virtual-mta-pool ${pool}
</smtp-listener>`;
}

function virtualMtaText(address: string): string {
  const name = vmtaName(address);
  return `<virtual-mta ${name}>
    smtp-source-host ${address} ${name}.penstock.test
</virtual-mta>`;
}

function poolText({ pool, addresses }: Stream): string {
  return `<virtual-mta-pool ${pool}>
${addresses.map((address) => `    virtual-mta ${vmtaName(address)}`).join('\n')}
</virtual-mta-pool>`;
}

function domainText(domain: string, lines: readonly string[], at: Endpoint): string {
  return `<domain ${domain}>
    smtp-hosts ${hostText(at)}
${lines.map((line) => `    ${line}`).join('\n')}
</domain>`;
}

function vmtaName(address: string): string {
  return `mta${address.split('.').at(-1)}`;
}

function hostText({ address, port }: Endpoint): string {
  return `[${address}]:${port}`;
}
