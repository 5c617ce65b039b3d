import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Origin, Setting } from './config.ts';
import { compileDomainSettings } from './domainSettings.ts';
import { diskConfigFiles } from './node/load.ts';
import { readConfig } from './readConfig.ts';
import { renderFindings } from './render.ts';

/** Each `NAME.conf` is read; `NAME.golden` holds the findings as rendered, and what the configuration means. */
const folder = 'test/config';
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.conf'))
  .map((name) => name.slice(0, -5));

test.each(names)('test/config/%s.conf reads as its golden file says', (name) => {
  const main = `${folder}/${name}.conf`;
  const { config, findings } = readConfig(main, { ...diskConfigFiles, systemName: 'mta.example.net' });
  const meaning =
    config === undefined ? 'refused' : [...linesOf(config, ''), ...effective(config)].join('\n');
  const text = `${renderFindings(findings)}\n${meaning}\n`;
  if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(`${folder}/${name}.golden`, text);
  expect(text).toBe(readFileSync(`${folder}/${name}.golden`, 'utf8'));
});

test('there are golden files', () => {
  expect(names.length).toBeGreaterThan(3);
});

function effective(config: Parameters<typeof compileDomainSettings>[0]): string[] {
  const lookup = compileDomainSettings(config);
  const queues = config.domains.flatMap(({ pattern }) => (pattern.kind === 'exact' ? [pattern.domain] : []));
  return [...new Set(queues)].flatMap((domain) =>
    config.virtualMtas.map(
      ({ name }) => `${domain}/${name}: max-smtp-out ${settingText(lookup(domain, name).maxSmtpOut)}`,
    ),
  );
}

function linesOf(value: unknown, path: string): string[] {
  if (isSetting(value)) return [`${path} = ${settingText(value)}`];
  if (typeof value !== 'object' || value === null || isOrigin(value)) {
    const text = isOrigin(value) ? `line ${value.line}` : JSON.stringify(value);
    return [`${path} = ${text}`];
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return [`${path} = none`];
  return entries.flatMap(([key, inner]) => linesOf(inner, path === '' ? key : `${path}.${key}`));
}

function settingText({ value, origin }: Setting<unknown>): string {
  return `${JSON.stringify(value)}  (${origin === undefined ? 'default' : `${origin.file}:${origin.line}`})`;
}

function isSetting(value: unknown): value is Setting<unknown> {
  return typeof value === 'object' && value !== null && 'value' in value && 'origin' in value;
}

function isOrigin(value: unknown): value is Origin {
  return typeof value === 'object' && value !== null && 'line' in value && 'text' in value;
}
