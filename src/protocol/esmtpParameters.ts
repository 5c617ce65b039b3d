/**
 * ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, 4.1.1.11): the shared grammar, and what each
 * keyword we offer may hold. A keyword that is not offered is unknown.
 */

export interface MailParameters {
  /** RFC 1870 SIZE; undefined when not declared. Above 2^53 it is inexact, and over any limit. */
  readonly sizeBytes: number | undefined;
  /** RFC 6152. */
  readonly body: '7BIT' | '8BITMIME';
  /** RFC 6531. */
  readonly smtpUtf8: boolean;
}

/** `syntax`: also a value the keyword does not allow. Duplicates are errors of their own. */
export type ParameterFault = 'syntax' | 'duplicate' | 'unknown';

const noParameters: MailParameters = { sizeBytes: undefined, body: '7BIT', smtpUtf8: false };

/** Keyword to what its value must look like; `undefined` as the value means "no value". */
const mailValueIsLegal: ReadonlyMap<string, (value: string | undefined) => boolean> = new Map([
  ['SIZE', (value) => value !== undefined && /^\d{1,20}$/.test(value)],
  ['BODY', (value) => value !== undefined && /^(7BIT|8BITMIME)$/i.test(value)],
  ['SMTPUTF8', (value) => value === undefined],
  // RFC 4954 section 5: checked, then ignored, since nobody is trusted to assert it.
  ['AUTH', (value) => value !== undefined && (value === '<>' || isXtext(value))],
]);

/** What follows the reverse-path: '' or parameters after a space. */
export function mailParameters(text: string, offers: { smtpUtf8: boolean }): MailParameters | ParameterFault {
  if (text === '') return noParameters;
  const given = parseParameters(text);
  if (typeof given === 'string') return given;
  for (const [keyword, value] of given) {
    const isLegal = mailValueIsLegal.get(keyword);
    if (isLegal === undefined || (keyword === 'SMTPUTF8' && !offers.smtpUtf8)) return 'unknown';
    // RFC 3030 section 3: without BINARYMIME on offer this is a parameter we do not implement.
    if (keyword === 'BODY' && value?.toUpperCase() === 'BINARYMIME') return 'unknown';
    if (!isLegal(value)) return 'syntax';
  }
  const size = given.get('SIZE');
  return {
    sizeBytes: size === undefined ? undefined : Number(size),
    body: given.get('BODY')?.toUpperCase() === '8BITMIME' ? '8BITMIME' : '7BIT',
    smtpUtf8: given.has('SMTPUTF8'),
  };
}

/** What follows the forward-path. No RCPT parameter is offered yet (RFC 3461 is to come). */
export function recipientParameters(text: string): ParameterFault | undefined {
  if (text === '') return undefined;
  const given = parseParameters(text);
  if (typeof given === 'string') return given;
  return given.size === 0 ? undefined : 'unknown';
}

/** *(SP esmtp-param) to upper-case keywords; the value of a keyword without `=` is undefined. */
export function parseParameters(text: string): Map<string, string | undefined> | 'syntax' | 'duplicate' {
  const parameters = new Map<string, string | undefined>();
  for (const word of text.split(' ')) {
    if (word === '') continue;
    const match = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?$/.exec(word);
    // RFC 4954's AUTH and RFC 3461's ENVID hold xtext, in which `=` is encoded, so no value has one.
    if (match === null) return 'syntax';
    const keyword = match[1]!.toUpperCase();
    if (parameters.has(keyword)) return 'duplicate';
    parameters.set(keyword, match[2]);
  }
  return parameters;
}

/** RFC 3461 section 4: `+` and `=` only as hexchar. */
function isXtext(value: string): boolean {
  return /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+$/.test(value);
}
