import { expect, test } from 'vitest';
import type { DnsAnswer, DnsData, DnsType } from '../base/ports.ts';
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
  const ask = async <T extends DnsType = 'A'>(
    name = 'mx.test',
    type: DnsType = 'A',
  ): Promise<DnsAnswer<DnsData[T]> | undefined> => {
    let answer: DnsAnswer<DnsData[T]> | undefined;
    void host.query(name, type as T).then((one) => {
      answer = one;
    });
    while (agenda.step());
    await Promise.resolve();
    return answer;
  };
  return { agenda, dns, host, ask };
}

test('the addresses of a name are found by family, in rotation', async () => {
  const { ask } = resolver();
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const answer = await ask('MX.test');
    expect(answer).toMatchObject({ kind: 'found' });
    if (answer?.kind === 'found') seen.add(answer.records.join());
  }
  const [a, b, c] = addresses;
  expect([...seen].sort()).toEqual([`${a},${b}`, `${b},${a}`]);
  expect(await ask('mx.test', 'AAAA')).toMatchObject({ records: [c] });
});

test('a name that is unknown or went away does not exist; one that has other records does', async () => {
  const { ask, dns } = resolver();
  expect(await ask('other.test')).toMatchObject({ kind: 'none', exists: false });
  expect(await ask('mx.test', 'MX')).toMatchObject({ kind: 'none', exists: true });
  dns.set('mx.test', []);
  expect(await ask()).toMatchObject({ kind: 'none', exists: false });
  expect(dns.absences.map(({ name }) => name)).toEqual(['other.test', 'mx.test']);
});

test('a domain has mail exchangers', async () => {
  const { ask, dns } = resolver();
  const records = [{ preference: 10, exchange: 'mx.test' }];
  dns.setMx('R.test', records);
  expect(await ask<'MX'>('r.test', 'MX')).toMatchObject({ kind: 'found', records });
});

test.each([
  [{ servfailRate: 1 }, { kind: 'failed', code: 'SERVFAIL' }],
  [{ timeoutRate: 1 }, { kind: 'failed', code: 'TIMEOUT' }],
  [{ nxdomainRate: 1 }, { kind: 'none', exists: false, ttlMs: 10_000 }],
  [
    { flapRate: 1, flapMs: 1e9 },
    { kind: 'failed', code: 'SERVFAIL' },
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
  const answers: DnsAnswer<string>[] = [];
  void host.query('mx.test', 'A').then((answer) => answers.push(answer));
  host.crash();
  void host.query('mx.test', 'A').then((answer) => answers.push(answer));
  while (agenda.step());
  await Promise.resolve();
  expect(answers).toEqual([]);
});
