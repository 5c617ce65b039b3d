import { pino, stdTimeFunctions } from 'pino';
import type { Log, LogLevel } from '../ports.ts';
import { LogFile, type LogFileFailure } from './logFile.ts';

/** Fields that never reach a log, whoever passes them. */
const secretFields = ['password', 'secret', 'token', 'credentials', 'authorization', 'privateKey'];

export interface SystemLog extends Log {
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
  /** Opens the file anew, after logrotate moved it. */
  reopen(): Promise<void>;
}

export interface LogOptions {
  readonly file: string;
  readonly level: LogLevel;
}

/**
 * One JSON object a line: level, time (ISO, UTC), event, fields. A file that cannot be opened is a value;
 * one that cannot be written later costs lines, never the process.
 */
export async function openLog({ file, level }: LogOptions): Promise<SystemLog | LogFileFailure> {
  const opened = await LogFile.open(file, complain);
  return opened instanceof LogFile ? systemLog(opened, level) : opened;
}

/** Where the log goes when its file is out of reach and the process must go on. */
export function standardErrorLog(level: LogLevel): SystemLog {
  return systemLog(LogFile.standardError(), level);
}

function complain(path: string, message: string): void {
  process.stderr.write(`penstock: cannot write the log ${path}: ${message}; lines are lost until it can\n`);
}

function systemLog(file: LogFile, level: LogLevel): SystemLog {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretFields, ...secretFields.map((field) => `*.${field}`)], censor: '[removed]' },
    },
    file,
  );
  return {
    write(severity, event, fields = {}) {
      logger[severity](fields, event);
    },
    flush: () => file.flush(),
    reopen: () => file.reopen(),
  };
}
