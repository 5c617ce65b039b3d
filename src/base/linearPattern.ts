import { RE2JS, RE2JSSyntaxException } from 're2js';

/**
 * A regular expression as PowerMTA's files have them (powermta a.2): case does not count unless the pattern
 * says `(?-i)`, it is not anchored, and the empty one matches everything. Time is linear in the text,
 * whatever pattern and text are: the one comes from operators, the other from strangers.
 */
export interface LinearPattern {
  /** Between the slashes, as written. */
  readonly expression: string;
  /** @param lowerCase the same text, lower case: who tries many patterns on it makes it once. */
  matches(text: string, lowerCase: string): boolean;
}

/** Why an expression cannot be used. `at` and `length`: the culprit, as far as it is known. */
export interface BadPattern {
  readonly message: string;
  readonly at: number;
  readonly length: number;
}

export function compileLinearPattern(expression: string): LinearPattern | BadPattern {
  if (expression === '') return { expression, matches: () => true };
  const unsupported = unsupportedIn(expression);
  if (unsupported !== undefined) return unsupported;
  try {
    const compiled = RE2JS.compile(expression, RE2JS.CASE_INSENSITIVE);
    const literal = requiredLiteral(expression);
    return {
      expression,
      // Beyond ASCII a lower-case text may lack what the pattern's folding finds.
      matches: (text, lowerCase) =>
        (literal === '' || lowerCase.includes(literal) || beyondAscii.test(text)) &&
        compiled.matcher(text).find(),
    };
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    return { message: error.getDescription(), at: 0, length: expression.length };
  }
}

export function isBadPattern(pattern: LinearPattern | BadPattern): pattern is BadPattern {
  return 'message' in pattern;
}

const beyondAscii = /[^\x00-\x7f]/;

/** What PCRE has and no linear-time engine can do. */
const unsupported: readonly { readonly token: RegExp; readonly what: string }[] = [
  { token: /^\(\?<?[=!]/, what: 'Looking ahead or behind' },
  { token: /^\(\?>/, what: 'An atomic group' },
  { token: /^\\[1-9]/, what: 'A back-reference' },
  { token: /^\(\?\(/, what: 'A condition' },
  { token: /^\(\?(?:R|\d)/, what: 'A recursion' },
];

function unsupportedIn(expression: string): BadPattern | undefined {
  for (const { at, text } of tokens(expression)) {
    const found = unsupported.find(({ token }) => token.test(expression.slice(at, at + 8)));
    if (found === undefined) continue;
    const message = `${found.what} cannot be matched in linear time and is not supported.`;
    return { message, at, length: text.length };
  }
  return undefined;
}

interface Token {
  readonly at: number;
  /** One character, an escape, a whole `[class]`, a `{count}`, or the beginning of a group: `(`, `(?:`. */
  readonly text: string;
}

function* tokens(expression: string): Iterable<Token> {
  for (let at = 0; at < expression.length; ) {
    const text = tokenAt(expression, at);
    yield { at, text };
    at += text.length;
  }
}

const tokenForms: readonly RegExp[] = [
  /^\\Q.*?(?:\\E|$)/s,
  /^\\p\{[^}]*\}/i,
  /^\\x(?:\{[^}]*\}|[0-9a-f]{2})/i,
  /^\\./s,
  /^\[\^?\]?(?:\\.|\[:[a-z]+:\]|[^\]])*\]/s,
  /^\{\d+(?:,\d*)?\}/,
  /^\(\?(?:<?[=!]|[>(]|P?<\w+>|[a-z-]*:?)/i,
  /^./s,
];

function tokenAt(expression: string, at: number): string {
  const rest = expression.slice(at);
  for (const form of tokenForms) {
    const token = form.exec(rest)?.[0];
    if (token !== undefined) return token;
  }
  return rest;
}

/**
 * The longest text, in lower case, that lies in everything the expression matches; '' when none is found.
 * It need not be the longest there is, but it must be in every match.
 */
export function requiredLiteral(expression: string): string {
  let best = '';
  let run = '';
  let depth = 0;
  const end = (): void => {
    if (run.length > best.length) best = run;
    run = '';
  };
  for (const { text } of tokens(expression)) {
    if (text.startsWith('(') || text === ')') {
      // What is inside a group may be optional or one of several.
      depth += text === ')' ? -1 : 1;
      end();
    } else if (depth > 0) continue;
    else if (text === '|') return '';
    else if (/^(?:[*?]|\{0)/.test(text)) {
      run = run.slice(0, -1);
      end();
    } else if (/^[+{]/.test(text)) end();
    else {
      const literal = literalOf(text);
      if (literal === undefined) end();
      else run += literal;
    }
  }
  end();
  return best;
}

/** The one ASCII character a token stands for, in lower case. */
function literalOf(token: string): string | undefined {
  const escaped = /^\\([^\w\s])$/.exec(token)?.[1];
  const char = escaped ?? token;
  if (escaped === undefined && (char.length !== 1 || '^$.'.includes(char))) return undefined;
  return beyondAscii.test(char) ? undefined : char.toLowerCase();
}
