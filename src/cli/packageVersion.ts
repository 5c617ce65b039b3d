import { readFileSync } from 'node:fs';

/** What package.json says; the bundle lies one folder below it. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
