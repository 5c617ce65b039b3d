import type { AcctFileConfig, Setting } from './config.ts';
import { folderOf } from './configFiles.ts';
import type { Finding } from './finding.ts';
import { argumentOf, sectionsNamed, settingOf } from './nodes.ts';
import type { ConfigNode } from './parser.ts';
import { sayNotice, sayWarning } from './say.ts';
import {
  type AcctPath,
  acctPath,
  count,
  fileSize,
  intervalOrNever,
  path,
  positiveInterval,
  records,
  size,
} from './values.ts';

/** `spool` lines and `<spool>` blocks; beside the configuration when there is none. */
export function resolveSpools(
  nodes: readonly ConfigNode[],
  mainFile: string,
  findings: Finding[],
): readonly Setting<string>[] {
  const spools = new Map<string, Setting<string>>();
  for (const node of nodes) {
    if (node.definition.name !== 'spool') continue;
    const folder = node.kind === 'section' ? argumentOf(node, path) : settingOf([node], 'spool', path)?.value;
    if (folder !== undefined && !spools.has(folder))
      spools.set(folder, { value: folder, origin: node.origin });
  }
  if (spools.size > 0) return [...spools.values()];
  return [{ value: fallback('spool', './var/spool', mainFile, findings), origin: undefined }];
}

/** `min-free-space` of the `<spool>` that is used, or the older `spool-min-free-space`, which counts in MB. */
export function resolveMinFreeSpace(nodes: readonly ConfigNode[]): Setting<number> {
  const [section] = sectionsNamed(nodes, 'spool');
  const ofSpool = section && settingOf(section.children, 'min-free-space', size);
  if (ofSpool !== undefined) return ofSpool;
  const ofAll = settingOf(nodes, 'spool-min-free-space', count);
  return ofAll === undefined
    ? { value: 0, origin: undefined }
    : { value: ofAll.value * mebibyte, origin: ofAll.origin };
}

const mebibyte = 1024 * 1024;

export function resolveLogFile(
  nodes: readonly ConfigNode[],
  mainFile: string,
  findings: Finding[],
): Setting<string> {
  const written = settingOf(nodes, 'log-file', path);
  if (written !== undefined) return written;
  return { value: fallback('log-file', './var/log/penstock.log', mainFile, findings), origin: undefined };
}

/** A place beside the configuration, for want of a line that names one. */
function fallback(directive: string, relative: string, mainFile: string, findings: Finding[]): string {
  const folder = folderOf(mainFile);
  const value = folder === '' ? relative : folder + relative.slice(2);
  const message = `No ${directive}: ${value} is used.`;
  const code = directive === 'spool' ? 'I-DEFAULT-SPOOL' : 'I-DEFAULT-LOG';
  findings.push(sayNotice(code, message, undefined, { fix: `add a line ${directive} PATH` }));
  return value;
}

const defaultMaxSizeBytes = 262_144_000;
const dayMs = 86_400_000;

/** Blocks for one path merge. Pipes, and files of which nothing is written yet, are left out with a warning. */
export function resolveAcctFiles(
  nodes: readonly ConfigNode[],
  findings: Finding[],
): readonly AcctFileConfig[] {
  const merged = new Map<
    string,
    { target: AcctPath; origin: AcctFileConfig['origin']; children: ConfigNode[] }
  >();
  for (const section of sectionsNamed(nodes, 'acct-file')) {
    const target = argumentOf(section, acctPath);
    if (target === undefined) continue;
    const { origin, underline, children } = section;
    if (target.kind === 'pipe') {
      const message = 'Accounting into a program is read but has no effect yet: nothing is sent to it.';
      findings.push(sayWarning('W-NOT-YET', message, origin, { underline }));
      continue;
    }
    const key = target.target;
    merged.set(key, { target, origin, children: [...(merged.get(key)?.children ?? []), ...children] });
  }
  return [...merged.values()].flatMap(({ target, origin, children }) => {
    const written = settingOf(children, 'records', records);
    const types = written?.value.now ?? (['d', 'b'] as const);
    if (types.length === 0) return [];
    return [
      {
        origin,
        path: target.target,
        records: { value: types, origin: written?.origin },
        maxSizeBytes: settingOf(children, 'max-size', fileSize) ?? unset(defaultMaxSizeBytes),
        moveTo: settingOf(children, 'move-to', path),
        moveIntervalMs: settingOf(children, 'move-interval', positiveInterval) ?? unset(dayMs),
        deleteAfterMs: settingOf(children, 'delete-after', intervalOrNever) ?? unset(8 * dayMs),
      },
    ];
  });
}

function unset<T>(value: T): Setting<T> {
  return { value, origin: undefined };
}

/** Repeatable directives whose values make one list: its origin is the first line's. */
export function listSetting(
  settings: readonly Setting<string>[],
  otherwise: readonly string[],
): Setting<readonly string[]> {
  if (settings.length === 0) return unset(otherwise);
  return { value: settings.map((setting) => setting.value), origin: settings[0]!.origin };
}

/** What a global directive says, or its default. */
export function settingOr<T>(written: Setting<T> | undefined, otherwise: T): Setting<T> {
  return written ?? unset(otherwise);
}
