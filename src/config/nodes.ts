import { assert } from '../base/assert.ts';
import type { Setting } from './config.ts';
import type { ConfigNode, DirectiveNode, SectionNode } from './parser.ts';
import type { ValueReader } from './values.ts';

/** Typed looks into the tree. The reader says which type a directive's value has. */

export function sectionsNamed(nodes: readonly ConfigNode[], name: string): readonly SectionNode[] {
  return nodes.filter((node) => node.kind === 'section' && node.definition.name === name) as SectionNode[];
}

export function directivesNamed(nodes: readonly ConfigNode[], name: string): readonly DirectiveNode[] {
  return nodes.filter(
    (node) => node.kind === 'directive' && node.definition.name === name,
  ) as DirectiveNode[];
}

/** Every value a directive was given, in file order; those that are not yet honoured are left out. */
export function settingsOf<T>(
  nodes: readonly ConfigNode[],
  name: string,
  reader: ValueReader<T>,
): readonly Setting<T>[] {
  return directivesNamed(nodes, name).flatMap((node) => {
    assert(node.definition.reader === reader, `${name} is read by the reader it is asked for with`);
    return node.reading.kind === 'value' ? [{ value: node.reading.value as T, origin: node.origin }] : [];
  });
}

/** The value that counts: the last one. */
export function settingOf<T>(
  nodes: readonly ConfigNode[],
  name: string,
  reader: ValueReader<T>,
): Setting<T> | undefined {
  return settingsOf(nodes, name, reader).at(-1);
}

/** The argument of a section's tag; undefined when it was wrong (and is reported). */
export function argumentOf<T>(section: SectionNode, reader: ValueReader<T>): T | undefined {
  assert(section.definition.argument === reader, `<${section.definition.name}> is read by this reader`);
  return section.argument?.kind === 'value' ? (section.argument.value as T) : undefined;
}

/** How one setting is written, for tables of settings. */
export interface SettingSource<T> {
  /** Synonyms; the last one written counts. */
  readonly names: readonly string[];
  readonly reader: ValueReader<T>;
  /** For what may stand more than once and adds up; without it the later one counts. */
  joined?(earlier: T, later: T): T;
}

/** What these nodes set, out of a table of settings. */
export function readSettings<S extends object>(
  nodes: readonly ConfigNode[],
  table: { readonly [K in keyof S]: SettingSource<S[K]> },
): Partial<{ readonly [K in keyof S]: Setting<S[K]> }> {
  const settings: Partial<{ [K in keyof S]: Setting<S[K]> }> = {};
  const keys = Object.keys(table) as (keyof S)[];
  const keyOf = new Map(keys.flatMap((key) => table[key].names.map((name) => [name, key] as const)));
  for (const node of nodes) {
    const key = node.kind === 'directive' ? keyOf.get(node.definition.name) : undefined;
    if (key === undefined) continue;
    const setting = settingOf([node], (node as DirectiveNode).definition.name, readerIn(table, key, node));
    if (setting !== undefined) settings[key] = joinedTo(settings[key], setting, table[key]);
  }
  return settings;
}

function joinedTo<T>(
  earlier: Setting<T> | undefined,
  later: Setting<T>,
  { joined }: SettingSource<T>,
): Setting<T> {
  if (earlier === undefined || joined === undefined) return later;
  return { value: joined(earlier.value, later.value), origin: earlier.origin };
}

function readerIn<S extends object, K extends keyof S>(
  table: { readonly [P in keyof S]: SettingSource<S[P]> },
  key: K,
  node: ConfigNode,
): ValueReader<S[K]> {
  // Synonyms may have forms of their own (`route` of `smtp-hosts`) that read to the same type.
  return table[key].names[0] === node.definition.name
    ? table[key].reader
    : ((node as DirectiveNode).definition.reader as ValueReader<S[K]>);
}
