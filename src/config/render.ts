import type { Finding } from './finding.ts';

/** Findings for people (operator 4.3): level, code, place, the line with a caret, what and why, the fix. */
export function renderFindings(findings: readonly Finding[]): string {
  const groups = grouped(findings);
  const shown = mostSevere(groups);
  const blocks = shown.map(({ first, others }) => `${renderFinding(first, others)}\n`);
  const more = groups.length - shown.length;
  if (more > 0) blocks.push(`... and ${more} more.\n`);
  return `${blocks.join('\n')}${blocks.length === 0 ? '' : '\n'}${summary(findings)}\n`;
}

/** `1 error, 3 warnings`; `no findings` when there is none. */
export function summary(findings: readonly Finding[]): string {
  const counts = (['error', 'warning', 'notice'] as const).flatMap((level) => {
    const number = findings.filter((finding) => finding.level === level).length;
    return number === 0 ? [] : [`${number} ${level}${number === 1 ? '' : 's'}`];
  });
  const refusing = findings.filter((finding) => finding.refusesRun).length;
  const lines = refusing === 1 ? '1 line keeps' : `${refusing} lines keep`;
  const text = counts.length === 0 ? 'no findings' : counts.join(', ');
  return refusing === 0 ? text : `${text}; ${lines} run from starting`;
}

/** The shape of `penstock check --json`. */
export interface CheckReport {
  readonly schema: 'penstock.check/1';
  readonly file: string;
  readonly errors: number;
  readonly warnings: number;
  readonly notices: number;
  /** Whether `run` would start as far as the configuration goes. */
  readonly runs: boolean;
  readonly findings: readonly CheckReportFinding[];
}

export interface CheckReportFinding {
  readonly level: Finding['level'];
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly refusesRun: boolean;
  /** null: about the whole configuration. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly length: number;
  readonly text: string | null;
}

export function checkReport(file: string, findings: readonly Finding[]): CheckReport {
  const number = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length;
  return {
    schema: 'penstock.check/1',
    file,
    errors: number('error'),
    warnings: number('warning'),
    notices: number('notice'),
    runs: findings.every((finding) => finding.level !== 'error' && !finding.refusesRun),
    findings: findings.map(({ level, code, message, fix, refusesRun, origin, underline }) => ({
      level,
      code,
      message,
      fix,
      refusesRun,
      file: origin?.file ?? null,
      line: origin?.line ?? null,
      column: origin?.column ?? null,
      length: underline,
      text: origin?.text ?? null,
    })),
  };
}

/** More than anybody reads at a time; the summary counts them all. */
const mostShown = 200;

const width = 80;
const levelWords = { error: 'ERROR', warning: 'WARN ', notice: 'NOTE ' } as const;

interface Group {
  readonly first: Finding;
  readonly others: Finding[];
}

/** Harmless lines that say the same thing are shown once, with the places of the rest. */
function grouped(findings: readonly Finding[]): readonly Group[] {
  const groups: Group[] = [];
  const open = new Map<string, Group>();
  for (const finding of findings) {
    const key = `${finding.code} ${finding.message}`;
    const group = finding.level !== 'error' && finding.origin !== undefined ? open.get(key) : undefined;
    if (group !== undefined) {
      group.others.push(finding);
      continue;
    }
    const opened = { first: finding, others: [] };
    open.set(key, opened);
    groups.push(opened);
  }
  return groups;
}

/** All of them, or as many as are shown: errors first, then what keeps `run` from starting, in line order. */
function mostSevere(groups: readonly Group[]): readonly Group[] {
  if (groups.length <= mostShown) return groups;
  const rank = ({ first }: Group): number =>
    first.level === 'error' ? 0 : first.refusesRun ? 1 : first.level === 'warning' ? 2 : 3;
  const kept = new Set([...groups].sort((a, b) => rank(a) - rank(b)).slice(0, mostShown));
  return groups.filter((group) => kept.has(group));
}

function renderFinding(
  { level, code, message, origin, underline, fix }: Finding,
  others: readonly Finding[],
): string {
  const place = origin === undefined ? '' : `  ${printable(origin.file)}:${origin.line}:${origin.column}`;
  const lines = [`${levelWords[level]} ${code}${place}`];
  if (origin !== undefined) lines.push(...excerpt(origin.text, origin.line, origin.column, underline));
  for (const part of message.split('\n')) lines.push(...wrapped(part, '   '));
  if (others.length > 0) lines.push(...wrapped(`Also ${placesOf(others, origin?.file)}.`, '   '));
  if (fix !== '') lines.push(...wrapped(`Fix: ${fix}`, '   '));
  return lines.join('\n');
}

/** The line as it stands, cut to the width around what is underlined, and the caret below. */
function excerpt(text: string, line: number, column: number, underline: number): string[] {
  const gutter = `${String(line).padStart(5)} | `;
  const room = width - gutter.length;
  const shown = printable(text).trimEnd();
  const start = column - 1 <= room - 12 && shown.length <= room ? 0 : Math.max(0, column - 1 - 20);
  const before = start > 0 ? '...' : '';
  const cut = shown.slice(start, start + room - before.length);
  const rows = [`${gutter}${before}${cut}`];
  if (underline > 0) {
    const indent = before.length + column - 1 - start;
    const carets = '^'.repeat(Math.max(1, Math.min(underline, room - indent)));
    rows.push(`${' '.repeat(gutter.length - 2)}| ${' '.repeat(indent)}${carets}`);
  }
  return rows;
}

/** `lines 14, 20, 31`, by file unless it is `here`; long lists are cut short. */
function placesOf(findings: readonly Finding[], here: string | undefined): string {
  const byFile = new Map<string, Set<number>>();
  for (const { origin } of findings) {
    const lines = byFile.get(origin!.file) ?? new Set();
    byFile.set(origin!.file, lines.add(origin!.line));
  }
  return [...byFile]
    .map(([file, lineSet]) => {
      const lines = [...lineSet];
      const shown = lines.slice(0, 12).join(', ');
      const more = lines.length > 12 ? ` and ${lines.length - 12} more` : '';
      const where = file === here ? '' : `${file}: `;
      return `${where}${lines.length === 1 ? 'line' : 'lines'} ${shown}${more}`;
    })
    .join('; ');
}

/** Breaks at blanks; a word longer than the line stands alone. */
function wrapped(text: string, indent: string): string[] {
  // An excerpt keeps its columns.
  if (/^ *\d+ \| /.test(text)) return [indent + printable(text).slice(0, width - indent.length)];
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text).split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

/** One character for each: columns stay, and nothing from the file reaches the terminal as a command. */
function printable(text: string): string {
  return text
    .replace(/[\u0000-\u001f]/g, ' ')
    .replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
}
