import { basename } from 'node:path';
import ts from 'ts5';
import { expect, test } from 'vitest';
import { linesMax, longFiles } from './longFiles.ts';
import { files, product, syntaxOf, textOf } from './sources.ts';

const code = files.filter((path) => /\.(?:ts|mjs|js)$/.test(path));
const texts = files.filter((path) =>
  /(?:\.(?:ts|tsx|mjs|js|json|md|sh|conf|golden|dialogue)|^[^.]+|\/run)$/.test(path),
);
const lengthMax = 150;

/** Lines of `paths` that match, but for the files of this folder, which must name what they forbid. */
function linesWith(pattern: RegExp, paths: readonly string[]): string[] {
  return paths
    .filter((path) => !path.startsWith('test/house/'))
    .flatMap((path) =>
      textOf(path)
        .split('\n')
        .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 100)}`] : [])),
    );
}

test('files are named for what they are', () => {
  const vague =
    /^(?:utils?|helpers?|common|managers?|types|index|misc|shared)$|(?:Utils?|Helpers?|Managers?)$/;
  expect(code.filter((path) => vague.test(basename(path).replace(/\..*$/, '')))).toEqual([]);
});

test('no file only passes on what others export', () => {
  const isBarrel = (path: string): boolean => {
    const { statements } = syntaxOf(path);
    return statements.length > 0 && statements.every((s) => ts.isExportDeclaration(s) && s.moduleSpecifier);
  };
  expect(product.filter(isBarrel)).toEqual([]);
});

test('exports have names', () => {
  const isDefault = (s: ts.Statement): boolean =>
    ts.isExportAssignment(s) ||
    (ts.canHaveModifiers(s) &&
      (ts.getModifiers(s)?.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword) ?? false));
  expect(product.filter((path) => syntaxOf(path).statements.some(isDefault))).toEqual([]);
});

test('modules outside node/ hold no changing state', () => {
  const changes = (s: ts.Statement): boolean =>
    ts.isVariableStatement(s) && (s.declarationList.flags & ts.NodeFlags.Const) === 0;
  const outside = product.filter((path) => !path.includes('/node/'));
  expect(outside.filter((path) => syntaxOf(path).statements.some(changes))).toEqual([]);
});

test('nothing is left to do without an issue', () => {
  expect(linesWith(/\b(?:TODO|FIXME|HACK)\b/, code)).toEqual([]);
});

test('lines fit a screen', () => {
  // Addresses cannot be broken, and the rows of a table written as text should not be.
  const long = new RegExp(`^(?!.*https?://|.* \\| .* \\| ).{${lengthMax + 1},}$`);
  expect(linesWith(long, code)).toEqual([]);
});

test(`no file passes ${linesMax} lines but the listed ones, and those only shrink`, () => {
  const written = code.filter((path) => !path.endsWith('.test.ts'));
  const lines = new Map(written.map((path) => [path, textOf(path).split('\n').length - 1]));
  const grown = [...lines].filter(([path, count]) => count > (longFiles.get(path) ?? linesMax));
  const needless = [...longFiles].filter(([path]) => (lines.get(path) ?? 0) <= linesMax);
  expect({ grown, needless }).toEqual({ grown: [], needless: [] });
});

test('no file tells of the machine or the registry it was made on', () => {
  const machine =
    /\/(?:work|root)\/[a-z.]|\/tmp\/brief|registry\.npmjs|"resolved": "http|artifactory|verdaccio/i;
  expect(linesWith(machine, [...texts, 'package-lock.json'])).toEqual([]);
});

test('dependencies are pinned exactly and each has its line in docs/dependencies.md', () => {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const all = Object.entries({ ...dependencies, ...devDependencies });
  const loose = all.filter(([, version]) => !/^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version));
  expect(loose).toEqual([]);
  const listed = new Map(
    [...textOf('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ([^|]+?) \|/gm)].map((row) => [
      row[1]!,
      row[2]!,
    ]),
  );
  expect([...listed].sort()).toEqual(
    all.map(([name, version]) => [name, version.replace(/^.*@/, '')]).sort(),
  );
});
