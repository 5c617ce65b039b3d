/** Which virtual MTAs and pools mail itself may choose, beside the proof of who may send any. */
import type { IpSet } from '../base/ipRanges.ts';
import type { Config, PatternRule } from '../config/config.ts';
import { compileAccess } from './access.ts';
import { reachOf } from './addressSpace.ts';
import { clientKinds } from './clientAtoms.ts';
import { listenerName, place, rangeText } from './proofText.ts';
import type { EffectiveSource } from './sourceOverlay.ts';

/** More names than this are summed up. */
const shown = 5;

/** By listener and kind of client; nothing where every default holds whatever a message says. */
export function mailChoiceLines(config: Config): string[] {
  const isAsked = config.injectionSources.some(
    ({ settings }) => settings.processXVirtualMta?.value || settings.patternList?.value,
  );
  if (!isAsked) return [];
  const access = compileAccess(config);
  const kinds = clientKinds(config);
  const alike = new Map<string, { readonly index: number; readonly lines: readonly string[] }>();
  const lines = config.listeners.flatMap((listener, index) => {
    // Of a listener nothing else makes a difference to its clients' settings.
    const key = `${listener.source?.value.toLowerCase()} ${kinds.classOf(index)}`;
    const known = alike.get(key);
    if (known !== undefined) {
      const same = `  listener ${listenerName(config, index)}: the same as ${listenerName(config, known.index)}`;
      return known.lines.length === 0 ? [] : [same];
    }
    const choices = kinds.classify(index, (clientAddress) => {
      const connection = access.connect({ clientAddress, listenerIndex: index });
      const choice = connection.kind === 'allowed' ? choicesOf(config, connection.effective) : '';
      return choice === '' ? undefined : choice;
    });
    const own = [...choices].flatMap(([choice, clients]) => [
      `    ${clientsText(clients, reachOf(listener.address))}`,
      choice,
    ]);
    alike.set(key, { index, lines: own });
    return own.length === 0 ? [] : [`  listener ${listenerName(config, index)}`, ...own];
  });
  return lines.length === 0
    ? []
    : ['Instead of the default of listener and source, mail may choose:', ...lines.join('\n').split('\n')];
}

function clientsText(clients: IpSet, reach: IpSet): string {
  return rangeText(clients, clients[4].length > 0 ? 4 : 6, reach);
}

/** One line each. */
function choicesOf(config: Config, effective: EffectiveSource): string {
  const { processXVirtualMta, allowedVirtualMtas, rejectInvalidVirtualMta, patternList } = effective;
  const lines: string[] = [];
  if (processXVirtualMta.value) {
    const allowed = allowedVirtualMtas.value;
    const fallback = rejectInvalidVirtualMta.value ? '' : config.invalidVirtualMtaFallback.value;
    const names = allowed === undefined ? 'any virtual MTA or pool' : namesText([...allowed, fallback]);
    lines.push(
      `      X-Virtual-MTA: ${names}${lineOf(allowedVirtualMtas.origin ?? processXVirtualMta.origin)}`,
    );
  }
  if (patternList.value !== '') {
    const names = namesText(namesIn(config, patternList.value, new Set()));
    lines.push(`      pattern-list ${patternList.value}: ${names}${lineOf(patternList.origin)}`);
  }
  return lines.join('\n');
}

function lineOf(origin: Parameters<typeof place>[0] | undefined): string {
  return origin === undefined ? '' : ` (${place(origin)})`;
}

function namesText(names: readonly string[]): string {
  const unique = [...new Set(names)].filter((name) => name !== '');
  const rest = unique.length - shown;
  if (unique.length === 0) return 'none';
  return unique.slice(0, shown).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** Everything that list may come to. */
function namesIn(config: Config, list: string, asked: Set<string>): readonly string[] {
  const key = list.toLowerCase();
  if (asked.has(key)) return [];
  asked.add(key);
  const ofRules = (rules: readonly PatternRule[]): readonly string[] =>
    rules.flatMap(({ result }) => {
      if (result.kind === 'virtualMta') return [result.name];
      return result.kind === 'call' ? namesIn(config, result.list, asked) : ofRules(result.rules);
    });
  return ofRules(config.patternLists.find(({ name }) => name.toLowerCase() === key)?.rules ?? []);
}
