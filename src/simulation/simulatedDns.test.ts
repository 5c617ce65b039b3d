import { expect, test } from 'vitest';
import type { DnsAnswer } from '../base/ports.ts';
import { Agenda } from './agenda.ts';
import { SeededRandom } from './seededRandom.ts';
import { type DnsFaults, perfectDns, SimulatedDns } from './simulatedDns.ts';

const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];

function resolver(faults: Partial<DnsFaults> = {}) {
  const random = new SeededRandom(1);
  const agenda = new Agenda(random);
  const dns = new SimulatedDns(agenda, random);
  dns.faults = { ...perfectDns, ...faults };
  dns.set('mx.test', addresses);
  const host = dns.host();
  /** undefined: no answer came. */
  const ask = async (name = 'mx.test'): Promise<DnsAnswer | undefined> => {
    let answer: DnsAnswer | undefined;
    void host.addresses(name).then((one) => {
      answer = one;
    });
    while (agenda.step());
    await Promise.resolve();
    return answer;
  };
  return { agenda, dns, host, ask };
}

test('the addresses of a name are found, IPv4 first, in rotation', async () => {
  const { ask } = resolver();
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const answer = await ask('MX.test');
    expect(answer).toMatchObject({ kind: 'found' });
    if (answer?.kind === 'found') seen.add(answer.addresses.join());
  }
  const [a, b, c] = addresses;
  expect([...seen].sort()).toEqual([`${a},${b},${c}`, `${b},${a},${c}`]);
});

test('a name that is unknown or went away has none', async () => {
  const { ask, dns } = resolver();
  expect(await ask('other.test')).toEqual({ kind: 'none' });
  dns.set('mx.test', []);
  expect(await ask()).toEqual({ kind: 'none' });
});

test.each([
  [{ servfailRate: 1 }, { kind: 'failed', code: 'ESERVFAIL' }],
  [{ timeoutRate: 1 }, { kind: 'failed', code: 'ETIMEOUT' }],
  [{ nxdomainRate: 1 }, { kind: 'none' }],
  [
    { flapRate: 1, flapMs: 1e9 },
    { kind: 'failed', code: 'ESERVFAIL' },
  ],
])('%j answers %j, until it is quiet again', async (faults, expected) => {
  const { ask, dns } = resolver(faults);
  expect(await ask()).toEqual(expected);
  expect(dns.faultCount).toBe(1);
  dns.faults = perfectDns;
  expect(await ask()).toMatchObject({ kind: 'found' });
});

test('a name that flaps fails for a while and comes back', async () => {
  const { ask, agenda } = resolver({ flapRate: 0.05, flapMs: 3_600_000 });
  const kinds: string[] = [];
  for (let i = 0; i < 1000; i++) {
    agenda.after(60_000, () => undefined);
    kinds.push((await ask())!.kind);
  }
  const changes = kinds.filter((kind, i) => i > 0 && kind !== kinds[i - 1]).length;
  expect(changes).toBeGreaterThan(10);
  expect(changes).toBeLessThan(200);
});

test('a process that died gets no answer', async () => {
  const { agenda, host } = resolver();
  const answers: DnsAnswer[] = [];
  void host.addresses('mx.test').then((answer) => answers.push(answer));
  host.crash();
  void host.addresses('mx.test').then((answer) => answers.push(answer));
  while (agenda.step());
  await Promise.resolve();
  expect(answers).toEqual([]);
});
