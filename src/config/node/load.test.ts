import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diskConfigFiles, loadConfig } from './load.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-load-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string, mode = 0o644): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};

test('a configuration with wildcards and a relative include is read from disk', () => {
  mkdirSync(join(folder, 'conf.d'));
  write('conf.d/b.conf', 'engines 2\n');
  write('conf.d/a.conf', 'postmaster a@b.c\n');
  write('conf.d/.hidden.conf', 'nonsense\n');
  const { config, findings } = loadConfig(
    write('config', 'include conf.d/*.conf\nsmtp-listener 127.0.0.1:25\n'),
  );
  expect(findings.filter((finding) => finding.level === 'error')).toEqual([]);
  expect(config).toMatchObject({ engines: { value: 2 }, postmaster: { value: ['a@b.c'] } });
  expect(config!.spools[0]!.value).toBe(join(folder, 'var/spool'));
});

test('what cannot be read is a finding', () => {
  expect(loadConfig(join(folder, 'none')).findings).toMatchObject([{ code: 'E-FILE-MISSING' }]);
  expect(loadConfig(folder).findings).toMatchObject([{ code: 'E-FILE-UNREADABLE' }]);
  expect(loadConfig('/dev/zero').findings).toMatchObject([{ code: 'E-FILE-UNREADABLE' }]);
  expect(loadConfig('a\u0000b').findings).toMatchObject([{ level: 'error' }]);
});

test('a file that everyone may change is warned of', () => {
  const codes = (mode: number) =>
    loadConfig(write('config', '', mode)).findings.map((finding) => finding.code);
  expect(codes(0o666)).toContain('W-WORLD-WRITABLE');
  expect(codes(0o644)).not.toContain('W-WORLD-WRITABLE');
});

test('wildcards match in every part of a path, sorted', () => {
  for (const name of ['a1', 'a2', 'b1']) {
    mkdirSync(join(folder, name));
    write(`${name}/x.conf`, '');
  }
  expect(diskConfigFiles.expand(`${folder}/a?/*.conf`)).toEqual([
    `${folder}/a1/x.conf`,
    `${folder}/a2/x.conf`,
  ]);
  expect(diskConfigFiles.expand(`${folder}/none/*`)).toEqual([]);
  expect(diskConfigFiles.expand('/plain')).toEqual(['/plain']);
});
