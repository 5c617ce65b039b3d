import { posix } from 'node:path';
import ts from 'ts5';
import { expect, test } from 'vitest';
import { isPure, product, textOf } from './sources.ts';

const stations = ['listener', 'access', 'session', 'routing', 'spool', 'queue', 'delivery', 'accounting'];
const foundations = ['base', 'message', 'protocol', 'config'];

/** Who may import whom, by room: a folder under src/ or a file in it. A room may always import itself. */
const mayImport: ReadonlyMap<string, readonly string[]> = new Map([
  ['base', []],
  ['message', ['base']],
  ['protocol', ['base']],
  ['config', ['base', 'message', 'protocol']],
  ...stations.map((station) => [station, foundations] as const),
  // Analysis reads what accounting writes, so it knows its columns.
  ['analysis', [...foundations, 'accounting']],
  ['engine', [...foundations, ...stations]],
  ['simulation', [...foundations, ...stations, 'analysis', 'engine']],
  ['control', foundations],
  ['supervisor', [...foundations, ...stations, 'analysis', 'engine', 'simulation', 'control']],
  ['cli', [...foundations, ...stations, 'analysis', 'engine', 'simulation', 'control', 'supervisor']],
  ['main.ts', ['cli', 'supervisor']],
]);

/** What stations may know of config/: the resolved configuration's shape, not how it is read. */
const sharedConfig = new Set(['src/config/config.ts', 'src/config/finding.ts']);

interface Import {
  readonly from: string;
  readonly to: string;
}

const imports: readonly Import[] = product.flatMap((from) => importsOf(from, textOf(from)));

function importsOf(from: string, text: string): Import[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => ({ from, to: posix.join(posix.dirname(from), fileName) }));
}

function roomOf(path: string): string {
  return path.split('/')[1]!;
}

/** What is wrong with an import, or undefined. */
function fault({ from, to }: Import): string | undefined {
  const [here, there] = [roomOf(from), roomOf(to)];
  if (!to.startsWith('src/')) return `${from} imports ${to}, outside src/`;
  if (isPure(from) && to.includes('/node/')) return `${from} is pure and imports ${to}`;
  if (here === there) return undefined;
  const allowed = mayImport.get(here);
  if (allowed === undefined) return `${from} lies in no known room: add "${here}" to the table`;
  if (!allowed.includes(there)) return `${from} imports ${to}: ${here} may import ${allowed.join(', ')}`;
  const isStation = stations.includes(here);
  if (isStation && there === 'config' && !sharedConfig.has(to))
    return `${from} imports ${to}, config's inside`;
  return undefined;
}

test('imports run one way, and stations never import each other', () => {
  expect(imports.map(fault).filter((found) => found !== undefined)).toEqual([]);
});

test('no files import each other in a circle, type imports included', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to } of imports) edges.set(from, [...(edges.get(from) ?? []), to]);
  expect(firstCircle(edges)).toBeUndefined();
});

/** Depth first; `path` is the way to the file in hand. */
function firstCircle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of edges.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of edges.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

test.each([
  ['src/session/a.ts', '../access/b.ts', 'session may import'],
  ['src/session/a.ts', './node/b.ts', 'is pure'],
  ['src/base/a.ts', '../message/b.ts', 'base may import'],
  ['src/queue/a.ts', '../config/parser.ts', "config's inside"],
  ['src/helpers/a.ts', '../base/b.ts', 'no known room'],
  ['src/engine/engine.ts', '../supervisor/supervisor.ts', 'engine may import'],
])('%s importing %s is found', (from, to, words) => {
  const [found] = importsOf(from, `import type { B } from '${to}';`);
  expect(fault(found!)).toContain(words);
});

test('a circle of three is found', () => {
  const edges = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  expect(firstCircle(edges)).toEqual(['b', 'c', 'b']);
});
