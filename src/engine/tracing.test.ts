import { expect, test } from 'vitest';
import { compileDomainSettings } from '../config/domainSettings.ts';
import { readEmbeddedConfig } from '../config/readConfig.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';
import { Tracing } from './tracing.ts';

const queue = 'gmail.test/mta1';

function setUp() {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const settingsFor = compileDomainSettings(readEmbeddedConfig('host.test').config!);
  const log = { write: (_level: string, event: string) => void logged.push(event) };
  return { clock, logged, tracing: new Tracing(clock, log, settingsFor) };
}

test('a watched queue logs everything to who watches, and to the log what it would get anyhow', () => {
  const { tracing, logged } = setUp();
  expect(tracing.settingsFor('gmail.test', 'mta1').logCommands.value).toBe(false);
  tracing.begin(queue, false);
  const { logCommands, logData } = tracing.settingsFor('gmail.test', 'mta1');
  expect([logCommands.value, logData.value]).toEqual([true, false]);
  expect(tracing.settingsFor('other.test', 'mta1').logCommands.value).toBe(false);
  tracing.write('info', 'delivery.commands', { queue, text: 'EHLO x' });
  tracing.write('info', 'delivery.commands', { queue: 'other.test/mta1' });
  tracing.write('info', 'delivery.queueFailed', { queue });
  tracing.write('info', 'delivery.reply', { queue });
  expect(logged).toEqual(['delivery.commands', 'delivery.queueFailed']);
  const { lines, isOver } = tracing.page(queue);
  expect(lines.map(({ event }) => event)).toEqual(['delivery.commands', 'delivery.queueFailed']);
  expect(isOver).toBe(true);
  expect(tracing.settingsFor('gmail.test', 'mta1').logCommands.value).toBe(false);
});

test('what nobody asks for any more is not watched, and nothing is watched for ever', () => {
  const { tracing, clock } = setUp();
  tracing.begin(queue, true);
  clock.advance(11_000);
  expect(tracing.settingsFor('gmail.test', 'mta1').logData.value).toBe(false);
  tracing.begin(queue, true);
  for (let i = 0; i < 6; i++) {
    expect(tracing.page(queue).isOver).toBe(false);
    clock.advance(10_000);
  }
  clock.advance(1);
  expect(tracing.page(queue).isOver).toBe(true);
});

test('a trace has its end, and there are only so many', () => {
  const { tracing } = setUp();
  for (let i = 0; i < 10; i++) expect(tracing.begin(`${i}.test/v`, false)).toBe(true);
  expect(tracing.begin(queue, false)).toBe(false);
  for (let i = 0; i < 2000; i++) tracing.write('info', 'delivery.reply', { queue: '1.test/v' });
  expect(tracing.page('1.test/v')).toMatchObject({ lines: { length: 1000 }, isOver: true });
});
