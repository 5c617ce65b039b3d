import { spawnSync } from 'node:child_process';
import ts from 'ts5';
import { expect, test } from 'vitest';
import { isPure, product, root, syntaxOf } from './sources.ts';

/** Globals that bring in time, chance or the machine. The compiler misses the first five: they are the language's own. */
const banned = new Set(
  (
    'Date Math.random Intl WeakRef FinalizationRegistry performance process Buffer globalThis require ' +
    'setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate queueMicrotask ' +
    'console crypto fetch URL URLSearchParams'
  ).split(' '),
);

test('pure files compile without the types of Node', () => {
  const compiler = 'node_modules/typescript/bin/tsc';
  const run = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.pure.json'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(run.stdout + run.stderr).toBe('');
});

test('pure files name no clock, chance, timer or process', () => {
  expect(product.filter(isPure).flatMap((path) => impurities(syntaxOf(path)))).toEqual([]);
});

/** Names that are used as variables; `timer.process` and `{ process: 1 }` are someone's property. */
function impurities(file: ts.SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const name = bannedName(node);
    if (name !== undefined) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${file.fileName}:${line + 1} ${name}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function bannedName(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && banned.has(node.getText())) return node.getText();
  if (!ts.isIdentifier(node) || !banned.has(node.text)) return undefined;
  const { parent } = node;
  const isMember = ts.isPropertyAccessExpression(parent) && parent.name === node;
  const isLabel =
    (ts.isPropertyAssignment(parent) ||
      ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isMethodDeclaration(parent)) &&
    parent.name === node;
  return isMember || isLabel ? undefined : node.text;
}

test.each([
  ['const now = Date.now();', ['x.ts:1 Date']],
  ['let when: Date;', ['x.ts:1 Date']],
  ['const r = Math.random();', ['x.ts:1 Math.random']],
  ['\nsetTimeout(f, 1);', ['x.ts:2 setTimeout']],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the source text under test has one.
  ['const s = `a ${process.pid}`;', ['x.ts:1 process']],
  ['// Date of the message\nconst s = "Date: Math.random";', []],
  ['interface Station { process(): void } station.process(); const o = { Date: 1 };', []],
  ['const n = Math.floor(1.5);', []],
])('the scan of %j finds %j', (text, expected) => {
  expect(impurities(ts.createSourceFile('x.ts', text, ts.ScriptTarget.ES2023, true))).toEqual(expected);
});
