import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'ts5';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Paths from the root with forward slashes: tracked files and those about to be. */
export const files: readonly string[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '-z'],
  { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
)
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)));

export const product: readonly string[] = files.filter(
  (path) => path.startsWith('src/') && path.endsWith('.ts') && !path.endsWith('.test.ts'),
);

const texts = new Map<string, string>();
const syntaxes = new Map<string, ts.SourceFile>();

export function textOf(path: string): string {
  const text = texts.get(path) ?? readFileSync(join(root, path), 'utf8');
  texts.set(path, text);
  return text;
}

export function syntaxOf(path: string): ts.SourceFile {
  const syntax = syntaxes.get(path) ?? ts.createSourceFile(path, textOf(path), ts.ScriptTarget.ES2023, true);
  syntaxes.set(path, syntax);
  return syntax;
}

/**
 * Pure unless it lies in a node/ room or is one of the outer files (architecture 3).
 * tsconfig.pure.json says the same to the compiler.
 */
export function isPure(path: string): boolean {
  return !/\/node\/|^src\/(?:cli|control|supervisor)\/|^src\/main\.ts$/.test(path);
}
