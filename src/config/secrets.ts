const secretLines = [
  // The whole value of whatever calls itself a pass?word, a token or an API key.
  /^(\s*\S*(?:pass?w|secret|token|api-key)\S*)(\s.*)$/i,
  // A pass phrase behind a certificate file, and a hashing key.
  /^(\s*\S*certificate\s+\S+)(\s.*)$/i,
  /^(\s*privacy-policy\s+\S+)(\s.*)$/i,
];

/**
 * The line as messages may show it: secrets become asterisks, columns stay where they are. Goes by the
 * keyword alone.
 */
export function maskSecrets(line: string): string {
  for (const pattern of secretLines) {
    const match = pattern.exec(line);
    if (match !== null) return match[1]! + match[2]!.replace(/\S/g, '*');
  }
  return line;
}
