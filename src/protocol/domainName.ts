/** Domain names as they are routed: one spelling for each (RFC 5321 2.3.5, RFC 5890 2.3). */

const labelOctets = 63;
/** RFC 1035 2.3.4 counts 255 with the length octets; as text that is 253. */
const domainOctets = 253;

/**
 * Lower case with A-labels: `Bücher.Example` and `xn--bcher-kva.EXAMPLE` become the same text.
 * undefined when it is no domain name: a bad label, a trailing dot, an all-numeric last label (that
 * would be read as an address, RFC 3696 section 2), or characters IDNA has no place for.
 */
export function toRoutableDomain(text: string): string | undefined {
  const domain = isAscii(text) ? text.toLowerCase() : toALabels(text);
  return domain !== undefined && isDomain(domain) ? domain : undefined;
}

/** sub-domain *("." sub-domain), RFC 5321 4.1.2, for lower-case ASCII. */
function isDomain(domain: string): boolean {
  if (domain.length > domainOctets) return false;
  let labelAt = 0;
  let numeric = true;
  let previous = 0x2d;
  for (let at = 0; at <= domain.length; at++) {
    const code = at === domain.length ? 0x2e : domain.charCodeAt(at);
    if (code === 0x2e) {
      if (previous === 0x2d || at - labelAt > labelOctets) return false;
      if (at === domain.length) return !numeric;
      labelAt = at + 1;
      numeric = true;
      previous = 0x2d;
      continue;
    }
    const letter = code >= 0x61 && code <= 0x7a;
    const digit = code >= 0x30 && code <= 0x39;
    // A label neither begins nor ends with a hyphen; `previous` starts as one.
    if (!letter && !digit && (code !== 0x2d || at === labelAt)) return false;
    if (!digit) numeric = false;
    previous = code;
  }
  return false;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

function toALabels(text: string): string | undefined {
  if (text.length > domainOctets) return undefined;
  const labels: string[] = [];
  for (const label of text.toLowerCase().normalize('NFC').split('.')) {
    if (isAscii(label)) labels.push(label);
    else if (isULabel(label)) labels.push(`xn--${punycode(label)}`);
    else return undefined;
  }
  return labels.join('.');
}

/**
 * Letters, marks, digits and hyphens that compatibility mapping leaves alone (RFC 5892 2.2, 2.9): full
 * width letters, ideographic dots and joiners are refused rather than guessed at.
 */
function isULabel(label: string): boolean {
  return (
    /^[\p{L}\p{N}][\p{L}\p{M}\p{N}-]*$/u.test(label) &&
    label.normalize('NFKC').toLowerCase() === label &&
    label.slice(2, 4) !== '--'
  );
}

/** RFC 3492 section 6.3, parameters of section 5. */
function punycode(label: string): string {
  const points = Array.from(label, (character) => character.codePointAt(0)!);
  const basic = points.filter((point) => point < 0x80);
  let output = String.fromCharCode(...basic);
  if (basic.length > 0) output += '-';
  let next = 0x80;
  let delta = 0;
  let bias = 72;
  for (let handled = basic.length; handled < points.length; ) {
    const floor = next;
    next = points.reduce((least, point) => (point >= floor && point < least ? point : least), 0x11_0000);
    delta += (next - floor) * (handled + 1);
    for (const point of points) {
      if (point < next) delta++;
      if (point !== next) continue;
      output += variableLengthInteger(delta, bias);
      bias = adapt(delta, handled + 1, handled === basic.length);
      delta = 0;
      handled++;
    }
    delta++;
    next++;
  }
  return output;
}

function variableLengthInteger(value: number, bias: number): string {
  let digits = '';
  let rest = value;
  for (let k = 36; ; k += 36) {
    const threshold = Math.min(Math.max(k - bias, 1), 26);
    if (rest < threshold) return digits + digit(rest);
    digits += digit(threshold + ((rest - threshold) % (36 - threshold)));
    rest = Math.floor((rest - threshold) / (36 - threshold));
  }
}

function digit(value: number): string {
  return String.fromCharCode(value < 26 ? 0x61 + value : 0x30 + value - 26);
}

/** RFC 3492 section 6.1. */
function adapt(delta: number, points: number, first: boolean): number {
  let rest = Math.floor(delta / (first ? 700 : 2));
  rest += Math.floor(rest / points);
  let k = 0;
  for (; rest > 455; k += 36) rest = Math.floor(rest / 35);
  return k + Math.floor((36 * rest) / (rest + 38));
}
