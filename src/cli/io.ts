import { styleText } from 'node:util';

/** Where a verb speaks: a terminal, or a test. Lines come without their line end. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
  /** Marks text for people, when the output is for people and they did not object. */
  dim(text: string): string;
}

export function terminalIo(color: boolean): Io {
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    dim: (text) => (color ? styleText('dim', text) : text),
  };
}

/** https://no-color.org: any value but the empty one switches colour off. */
export function wantsColor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  return isTerminal && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

export const columns = 80;

/** `name: value` lines whose values start in one column and continue there. */
export function pairLines(pairs: readonly (readonly [name: string, value: string])[]): string[] {
  const indent = Math.max(0, ...pairs.map(([name]) => name.length)) + 2;
  return pairs.flatMap(([name, value]) =>
    wrapped(value, columns - indent).map((line, i) => (i === 0 ? `${name}:` : '').padEnd(indent) + line),
  );
}

/** Broken at blanks where there are any, within words where there are none. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > 0 ? blank : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

/** As much of a text as fits, with a mark where it was cut. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 3)}...`;
}

/** As much of the end of a text as fits: of a path its file and line. */
export function cutFront(text: string, width: number): string {
  return text.length <= width ? text : `...${text.slice(text.length - width + 3)}`;
}
