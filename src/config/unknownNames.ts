import { directives, directivesNamed, namesIn, sectionNamed, sections } from './directives.ts';
import type { NearestNames } from './nearest.ts';

/** What to say of a name that does not stand where it belongs, or nowhere. */
export interface NameProblem {
  readonly code: 'E-UNKNOWN-DIRECTIVE' | 'E-UNKNOWN-SECTION' | 'E-MISPLACED';
  readonly message: string;
  readonly fix: string;
}

/** Names that circulate but never were PowerMTA's (powermta, "Beware of the web"), and what is meant. */
const foreignDirectives = new Map([
  ['max-conn-rate', 'the directive is max-connect-rate'],
  ['max-smtp-out-rate', 'the directive is max-connect-rate'],
  ['smtp-source-ip', 'the directive is smtp-source-host IP HOST'],
  ['backoff-trigger-pattern', 'write a <smtp-pattern-list NAME> with lines reply /.../ mode=backoff'],
  ['mx-rollup', 'write a section <mx-rollup-list> with lines mx PATTERN NAME.rollup'],
  ['weight', 'pool members have no weights; name a virtual MTA once, or set limits in its <domain>'],
  ['domain-selection', 'virtual MTAs are chosen by <pattern-list>, not by the pool'],
]);

const foreignSections = new Map([
  ['accounting', 'write <acct-file /path/acct.csv>, inside it records d,b,t,r, then </acct-file>'],
  ['dkim', 'write domain-key SELECTOR,DOMAIN,FILE and, in <domain>, dkim-sign yes'],
  ['bind', 'write smtp-source-host IP HOST in a <virtual-mta>'],
  ['http-access', 'http-access is a directive: http-access CIDR LEVEL'],
  ['cold-virtual-mta', 'cold-virtual-mta is a directive of <virtual-mta>'],
  ['routing', 'write smtp-hosts in a <domain>'],
]);

/** A directive that may not stand in `scope` (`global`, or a section's name). */
export function directiveProblem(scope: string, name: string, names: NearestNames): NameProblem {
  const elsewhere = directivesNamed(name).flatMap((row) => row.scopes);
  if (elsewhere.length > 0) {
    const message = `${name} may not stand ${inScope(scope)}.`;
    return { code: 'E-MISPLACED', message, fix: `it belongs ${elsewhere.map(inScope).join(', or ')}` };
  }
  const section = sectionNamed(name);
  if (section !== undefined) {
    const message = `${name} is a section, not a directive.`;
    const argument = section.argument === undefined ? '' : ` ${section.argument.type}`;
    return { code: 'E-UNKNOWN-DIRECTIVE', message, fix: `write <${name}${argument}> ... </${name}>` };
  }
  const message = `There is no directive ${shown(name)}.`;
  const foreign = foreignDirectives.get(name);
  if (foreign !== undefined) return { code: 'E-UNKNOWN-DIRECTIVE', message, fix: foreign };
  const here = names.find(name, namesIn(scope));
  if (here !== undefined) return { code: 'E-UNKNOWN-DIRECTIVE', message, fix: `did you mean ${here}?` };
  const nearest = names.find(
    name,
    directives.map((row) => row.name),
  );
  const where = directivesNamed(nearest ?? '').flatMap((row) => row.scopes.map(inScope));
  const fix = nearest === undefined ? '' : `did you mean ${nearest}? It belongs ${where.join(', or ')}`;
  return { code: 'E-UNKNOWN-DIRECTIVE', message, fix };
}

/** A section that may not be opened in `scope`. */
export function sectionProblem(scope: string, name: string, names: NearestNames): NameProblem {
  const known = sectionNamed(name);
  if (known !== undefined) {
    const message = `<${name}> may not stand ${inScope(scope)}.`;
    const belongs = `it belongs ${known.scopes.map(inScope).join(', or ')}`;
    const closing = scope !== 'global' && known.scopes.includes('global');
    return {
      code: 'E-MISPLACED',
      message,
      fix: closing ? `${belongs}; is </${scope}> missing above?` : belongs,
    };
  }
  const message = `There is no section <${shown(name)}>.`;
  const foreign = foreignSections.get(name);
  if (foreign !== undefined) return { code: 'E-UNKNOWN-SECTION', message, fix: foreign };
  if (directivesNamed(name).length > 0) {
    return { code: 'E-UNKNOWN-SECTION', message, fix: `${name} is a directive: write it without < and >` };
  }
  const nearest = names.find(
    name,
    sections.map((section) => section.name),
  );
  return {
    code: 'E-UNKNOWN-SECTION',
    message,
    fix: nearest === undefined ? '' : `did you mean <${nearest}>?`,
  };
}

function inScope(scope: string): string {
  return scope === 'global' ? 'at top level' : `in <${scope}>`;
}

/** A name from the file, short enough for one line. */
function shown(name: string): string {
  return name.length > 60 ? `${name.slice(0, 57)}...` : name;
}
