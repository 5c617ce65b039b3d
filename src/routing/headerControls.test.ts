import { expect, test } from 'vitest';
import { type InjectionSourceSettings, injectionSourceDefaults } from '../config/config.ts';
import { fieldFinder, withoutRanges } from '../protocol/headerFields.ts';
import { type EffectiveSettings, type HeaderSays, headerControls } from './headerControls.ts';

function effective(settings: Partial<InjectionSourceSettings>): EffectiveSettings {
  const all = Object.entries({ ...injectionSourceDefaults, ...settings });
  return Object.fromEntries(all.map(([name, value]) => [name, { value, origin: undefined }])) as never;
}

/** What a header says to a source with these settings, and what is left of it. */
function said(settings: Partial<InjectionSourceSettings>, ...lines: string[]): HeaderSays & { left: string } {
  const controls = headerControls(effective(settings));
  const chunks = [new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(''))];
  const says = controls.read(fieldFinder(controls.names)(chunks, 'raw'));
  const left = withoutRanges(chunks, says.cuts).map((chunk) => new TextDecoder().decode(chunk));
  return { ...says, left: left.join('').trimEnd().replaceAll('\r\n', ' | ') };
}

test('a source that directs nothing by header looks at none', () => {
  expect(headerControls(effective({})).names.size).toBe(0);
  const retains = { retainXVirtualMta: true, retainXJob: true, jobidPrefix: 'p' };
  expect(headerControls(effective(retains)).names.size).toBe(0);
});

test('what was obeyed is taken out, each time it stands there, unless it is retained', () => {
  const lines = ['X-Virtual-MTA: a', 'X-Job: b', 'X-Envid: c', 'X-Virtual-MTA: d', 'Subject: e'];
  const obeys = { processXVirtualMta: true, processXJob: true, processXEnvid: true };
  expect(said(obeys, ...lines)).toMatchObject({
    virtualMta: 'a',
    jobId: 'b',
    envId: 'c',
    left: 'Subject: e',
  });
  const retains = { ...obeys, retainXVirtualMta: true, retainXJob: true };
  expect(said(retains, ...lines).left).toBe('X-Virtual-MTA: a | X-Job: b | X-Virtual-MTA: d | Subject: e');
  expect(said({ processXJob: true }, ...lines)).toMatchObject({ virtualMta: undefined, envId: '' });
});

test('another header may name the job; X-Job comes before it where it is obeyed and can be a name', () => {
  const both = { jobidHeader: 'x-campaign', processXJob: true };
  expect(said(both, 'X-Campaign: a', 'X-Job: b')).toMatchObject({ jobId: 'b', left: 'X-Campaign: a' });
  expect(said(both, 'X-Campaign: a', 'X-Job: spring sale')).toMatchObject({
    jobId: 'a',
    left: 'X-Campaign: a',
  });
  expect(said({ jobidHeader: 'x-campaign' }, 'X-Job: b', 'X-Campaign: a').jobId).toBe('a');
  expect(said({ jobidHeader: 'x-job' }, 'X-Job: b')).toMatchObject({ jobId: 'b', left: 'X-Job: b' });
});

test('a job has a name without blanks, controls and octets above 126, of at most 256 characters', () => {
  const jobId = (value: string): string =>
    said({ processXJob: true, jobidPrefix: 'p/' }, `X-Job:${value}`).jobId;
  expect(jobId(' a-1/"b", ')).toBe('p/a-1/"b",');
  expect(jobId(' \r\n\ta')).toBe('p/a');
  expect(jobId('a'.repeat(256))).toBe(`p/${'a'.repeat(256)}`);
  for (const bad of ['', ' ', 'a b', 'a\tb', 'a\u0001', 'gr\u00fcn', 'a\u007f', 'a'.repeat(257)]) {
    expect(jobId(bad)).toBe('');
  }
});

test('without an authenticated user the prefix of its name is empty', () => {
  expect(said({ processXJob: true, jobidPrefix: '{auth}' }, 'X-Job: a').jobId).toBe('a');
});

test('an envelope id is printable and has at most 100 characters', () => {
  const envId = (value: string): string => said({ processXEnvid: true }, `X-Envid: ${value}`).envId;
  expect(envId('a b,"c"')).toBe('a b,"c"');
  for (const bad of ['a\tb', '\u00fc', 'a'.repeat(101)]) expect(envId(bad)).toBe('');
});

test('Message-ID and Date are added where they are missing, and a Date is replaced where that is asked', () => {
  const adds = (settings: Partial<InjectionSourceSettings>, ...lines: string[]): string => {
    const { addsMessageId, addsDate, left } = said(settings, ...lines);
    return `${addsMessageId ? 'id ' : ''}${addsDate ? 'date ' : ''}| ${left}`;
  };
  const yes = { addMessageIdHeader: true, addDateHeader: 'yes' } as const;
  expect(adds(yes, 'A: b')).toBe('id date | A: b');
  expect(adds(yes, 'DATE: b', 'Message-Id: c')).toBe('| DATE: b | Message-Id: c');
  expect(adds({ addDateHeader: 'override' }, 'Date: b', 'A: c')).toBe('date | A: c');
  expect(adds({}, 'A: b')).toBe('| A: b');
});

test('fields that are to be removed go, and what was obeyed among them is obeyed', () => {
  const settings = {
    removeHeader: ['x-job', 'x-mailer', 'date'],
    processXJob: true,
    retainXJob: true,
  } as const;
  const lines = ['X-MAILER: a', 'X-Job: b', 'Date: c', 'X-Mail: d'];
  expect(said(settings, ...lines)).toMatchObject({ jobId: 'b', addsDate: false, left: 'X-Mail: d' });
  expect(said({ ...settings, addDateHeader: 'yes' }, ...lines)).toMatchObject({
    addsDate: true,
    left: 'X-Mail: d',
  });
});

test('Received fields go where that is asked', () => {
  expect(said({ removeReceivedHeaders: true }, 'Received: a', ' b', 'A: c', 'received: d').left).toBe('A: c');
});
