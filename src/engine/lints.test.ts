import { expect, test } from 'vitest';
import { memoryConfigFiles } from '../config/configFiles.ts';
import { readConfig } from '../config/readConfig.ts';
import { lintEngines } from './lints.ts';

const lint = (text: string): string[] => {
  const { config } = readConfig('c', memoryConfigFiles(new Map([['c', text]]), 'host.test'));
  return lintEngines(config!).map(({ code, origin }) => `${code} line ${origin?.line}`);
};

test('several engines, and every spool but the first, are warned of on their lines', () => {
  expect(lint('spool a\nengines 1')).toEqual([]);
  expect(lint('spool a\nengines 2\nspool b\nspool c')).toEqual([
    'W-ENGINES line 2',
    'W-NOT-YET line 3',
    'W-NOT-YET line 4',
  ]);
});
