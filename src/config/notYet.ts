import type { ConfigFiles } from './configFiles.ts';
import type { DirectiveDefinition } from './directives.ts';
import type { Finding } from './finding.ts';
import { listenerLine, sourceArgument } from './hostValues.ts';
import { argumentOf, sectionsNamed, settingsOf } from './nodes.ts';
import type { ConfigNode, DirectiveNode, SectionNode } from './parser.ts';
import { sayError, sayNotice, sayWarning } from './say.ts';
import { certificate, name, type Records, records } from './values.ts';

/**
 * What is read and has no effect (yet). Nothing is silently ignored: harmless lines give a warning, unsafe
 * ones keep `run` from starting, unless they stand at their default (architecture 7).
 */
export function notYetFindings(nodes: readonly ConfigNode[], files: ConfigFiles): readonly Finding[] {
  const reached = reachedSources(nodes);
  return nodes.flatMap((node) => findingsOf([node], { files, isReached: !isUnreached(node, reached) }));
}

/** Where lines stand: in a section nobody gets into what they leave undone is unsafe for nobody. */
interface Place {
  readonly files: ConfigFiles;
  readonly isReached: boolean;
}

function findingsOf(nodes: readonly ConfigNode[], place: Place): readonly Finding[] {
  return nodes.flatMap((node) =>
    node.kind === 'directive' ? ofDirective(node, place) : [...ofSection(node), ...ofContents(node, place)],
  );
}

/** Named sources that a listener lays over others, in lower case; users reach none before there is AUTH. */
function reachedSources(nodes: readonly ConfigNode[]): ReadonlySet<string> {
  const lines = settingsOf(nodes, 'smtp-listener', listenerLine).map(({ value }) => value.source);
  const blocks = sectionsNamed(nodes, 'smtp-listener').flatMap(({ children }) =>
    settingsOf(children, 'source', name).map(({ value }) => value),
  );
  return new Set([...lines, ...blocks].flatMap((one) => (one === undefined ? [] : [one.toLowerCase()])));
}

function isUnreached(node: ConfigNode, reached: ReadonlySet<string>): boolean {
  if (node.kind !== 'section' || node.definition.name !== 'source') return false;
  const argument = argumentOf(node, sourceArgument);
  return argument?.kind === 'name' && !reached.has(argument.name.toLowerCase());
}

/** The contents of a section that has no effect as a whole need no warnings of their own. */
function ofContents(section: SectionNode, place: Place): readonly Finding[] {
  return section.definition.status === 'honoured' ? findingsOf(section.children, place) : [];
}

function ofSection({ definition, origin, underline }: SectionNode): readonly Finding[] {
  if (definition.status === 'honoured') return [];
  return [notYet(`<${definition.name}>`, definition.status === 'unsafe', origin, underline)];
}

/** Lines whose reason for having no effect is worth its own words. */
const notices = new Map<string, { readonly code: string; readonly message: string }>([
  [
    'run-as-root',
    {
      code: 'I-RUN-AS-ROOT',
      message: 'Dropping root is not part of this release: start as the account to run as.',
    },
  ],
  [
    'sync-msg-create',
    {
      code: 'I-DURABILITY',
      message: 'Mail is always on disk before it is accepted; durability changes that.',
    },
  ],
  [
    'sync-msg-update',
    { code: 'I-DURABILITY', message: 'Outcomes are always synced, in groups; durability changes that.' },
  ],
]);

const oldTls = /tls-allow-(sslv3|tlsv1|tlsv1\.1)$/;

function ofDirective(node: DirectiveNode, { files, isReached }: Place): readonly Finding[] {
  const { definition, origin, underline, reading } = node;
  if (reading.kind === 'notYet') return [notYet(reading.what, isReached, origin, underline)];
  const missing = missingFile(node, files);
  if (definition.status === 'honoured') {
    const later = definition.reader === records ? (reading.value as Records).later : [];
    return [...missing, ...later.map((type) => notYet(`Record type ${type}`, false, origin, underline))];
  }
  if (standsAtDefault(definition, reading.value) && !definition.defaultNotHonoured) return missing;
  const notice = notices.get(definition.name);
  if (notice !== undefined) return [sayNotice(notice.code, notice.message, origin, { underline })];
  if (oldTls.test(definition.name)) {
    const wanted = reading.value === true;
    const message = 'TLS 1.2 is the oldest version spoken; this line cannot lower that.';
    return wanted ? [sayNotice('I-TLS-FLOOR', message, origin, { underline })] : [];
  }
  const unsafe = isReached && definition.status === 'unsafe' && !standsAtDefault(definition, reading.value);
  return [...missing, notYet(definition.name, unsafe, origin, underline)];
}

/** Looked for at once: a typing error should not wait for the day TLS is used, or mail goes unverified. */
const isTlsFile = ({ definition: { name, reader } }: DirectiveNode): boolean =>
  reader === certificate || name === 'smtp-tls-ca-file';

function missingFile(node: DirectiveNode, files: ConfigFiles): Finding[] {
  const { origin, underline, reading } = node;
  if (!isTlsFile(node) || reading.kind !== 'value') return [];
  const path = reading.value as string;
  return files.exists(path)
    ? []
    : [sayError('E-FILE-MISSING', `There is no file ${path}.`, origin, { underline })];
}

function standsAtDefault(definition: DirectiveDefinition, value: unknown): boolean {
  const { defaultText, reader } = definition;
  if (defaultText === '' || defaultText.startsWith('(')) return false;
  const reading = reader.read(defaultText);
  return reading.kind === 'value' && JSON.stringify(reading.value) === JSON.stringify(value);
}

function notYet(what: string, unsafe: boolean, origin: Finding['origin'], underline: number): Finding {
  const message = unsafe
    ? `${what} is read but not honoured yet, and ignoring it would not be safe: run refuses to start.`
    : `${what} is read but has no effect yet.`;
  const fix = unsafe ? 'take the line out if you can do without it' : '';
  return sayWarning('W-NOT-YET', message, origin, { underline, fix, refusesRun: unsafe });
}
