import { pino, stdTimeFunctions } from 'pino';
import type { Log, LogLevel } from '../ports.ts';

/** Fields that never reach a log, whoever passes them. */
const secretFields = ['password', 'secret', 'token', 'credentials', 'authorization', 'privateKey'];

export interface SystemLog extends Log {
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
  /** Opens the file anew, after logrotate moved it. */
  reopen(): void;
}

/** One JSON object a line: level, time (ISO, UTC), event, fields. `file` undefined: standard error. */
export function systemLog(options: { file: string | undefined; level: LogLevel }): SystemLog {
  const destination = pino.destination({ dest: options.file ?? 2, mkdir: true, sync: false });
  // A log that cannot be written (full disk) must not stop the mail; say so once.
  destination.once('error', (error) => {
    process.stderr.write(
      `penstock: cannot write the log ${options.file ?? 'to standard error'}: ${error.message}\n`,
    );
    destination.on('error', () => {});
  });
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretFields, ...secretFields.map((field) => `*.${field}`)], censor: '[removed]' },
    },
    destination,
  );
  return {
    write(level, event, fields = {}) {
      logger[level](fields, event);
    },
    flush() {
      try {
        destination.flushSync();
      } catch {
        // Not open yet, or failed: the error listener has spoken.
      }
    },
    reopen() {
      if (options.file !== undefined) destination.reopen();
    },
  };
}
