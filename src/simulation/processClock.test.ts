import { expect, test } from 'vitest';
import { Agenda } from './agenda.ts';
import { ProcessClock } from './processClock.ts';
import { SeededRandom } from './seededRandom.ts';

const wall = { startMs: 1_000_000, steppedMs: 0, zoneOffsetMinutes: 60 };

test('the wall clock steps for every process; the other one begins with each and never steps', () => {
  const agenda = new Agenda(new SeededRandom(1));
  const stepping = { ...wall };
  const first = new ProcessClock(agenda, stepping);
  agenda.after(10, () => undefined);
  agenda.step();
  const second = new ProcessClock(agenda, stepping);
  stepping.steppedMs -= 5000;
  expect([first.wallMs(), second.wallMs()]).toEqual([995_010, 995_010]);
  expect([first.monotonicMs(), second.monotonicMs()]).toEqual([10, 0]);
});

test('a dead process hears no timer, and one that was cancelled never comes', () => {
  const agenda = new Agenda(new SeededRandom(1));
  const heard: string[] = [];
  const [living, dying] = [new ProcessClock(agenda, wall), new ProcessClock(agenda, wall)];
  dying.after(5, () => heard.push('dead'));
  dying.soon(() => heard.push('soon'));
  living.after(5, () => heard.push('alive'));
  living.after(4, () => heard.push('cancelled')).cancel();
  expect(living.waiting).toBe(1);
  dying.kill();
  while (agenda.step());
  expect(heard).toEqual(['alive']);
  expect(living.waiting).toBe(0);
});
