/** Every exit code of every verb; docs/exit-codes.md says the same to readers. */
export const exitCodes = {
  ok: { code: 0, meaning: 'Fine.' },
  refused: {
    code: 1,
    meaning:
      'Refused by the listener or bounced (`send`), mail that would bounce (`resolve`), or warnings under ' +
      '`--strict` (`check`).',
  },
  error: {
    code: 2,
    meaning:
      'Errors in the configuration, an unsafe configuration, a start that failed, as of a second daemon, or ' +
      'damage (`spool verify`, `spool export`).',
  },
  unknown: {
    code: 3,
    meaning:
      'Unknown: an engine that does not answer (`status`, `queue`, `why`, `spool quarantine`), ' +
      'no accounting row in time (`send`), or mail that would wait (`resolve`).',
  },
  unreachable: {
    code: 4,
    meaning:
      'The daemon, the listener for `send`, or every endpoint of `resolve --connect` cannot be reached.',
  },
  permission: { code: 5, meaning: 'Permission denied: the control socket, a port, a file.' },
  usage: { code: 64, meaning: 'The command line was not understood.' },
  interrupted: { code: 130, meaning: 'Interrupted.' },
} as const;

export type ExitName = keyof typeof exitCodes;
