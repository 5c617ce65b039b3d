import { close, constants, mkdir, open, write, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** What may wait for a disk that stands still; lines beyond it are lost. */
const pendingMaxCharacters = 8 << 20;

export interface LogFileFailure {
  readonly kind: 'unwritable';
  readonly path: string;
  /** The system's. */
  readonly code: string;
  readonly message: string;
}

type Complain = (path: string, message: string) => void;

const makeFolder = promisify(mkdir);
const openFile = promisify(open);
const writeBytes = promisify(write);

/**
 * Lines to a file, in the background. Not pino's own destination: that one retries a failed write for
 * ever when it is flushed, so a full disk would keep a daemon from ending.
 */
export class LogFile {
  readonly #path: string;
  readonly #complain: Complain;
  #file: number;
  #pending: string[] = [];
  #pendingCharacters = 0;
  #isWriting = false;
  /** The last write failed; said once, until one succeeds. */
  #isFailing = false;
  /** The file ends within a line. */
  #isTorn = false;

  private constructor(path: string, file: number, complain: Complain) {
    this.#path = path;
    this.#file = file;
    this.#complain = complain;
    process.once('exit', () => this.flush());
  }

  static async open(path: string, complain: Complain): Promise<LogFile | LogFileFailure> {
    try {
      return new LogFile(path, await opened(path), complain);
    } catch (error) {
      const { code = 'unknown', message } = error as NodeJS.ErrnoException;
      return { kind: 'unwritable', path, code, message };
    }
  }

  /** Nobody is left to complain to. */
  static standardError(): LogFile {
    return new LogFile('standard error', 2, () => undefined);
  }

  write(line: string): void {
    if (this.#pendingCharacters + line.length > pendingMaxCharacters) {
      this.#failed('it takes no more');
      return;
    }
    this.#pending.push(line);
    this.#pendingCharacters += line.length;
    if (!this.#isWriting) void this.#writeOut();
  }

  /** Writes what waits before it returns, or loses it. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = this.#takePending();
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    } catch (error) {
      this.#failed((error as Error).message);
    }
  }

  /** On failure lines go on to the file that is open. */
  async reopen(): Promise<void> {
    try {
      const file = await opened(this.#path);
      // Still being written to, perhaps: Linux keeps it until that is done, but the number would be reused.
      while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve));
      close(this.#file, () => undefined);
      this.#file = file;
    } catch (error) {
      this.#failed((error as Error).message);
    }
  }

  async #writeOut(): Promise<void> {
    this.#isWriting = true;
    while (this.#pending.length > 0) {
      const bytes = this.#takePending();
      let at = 0;
      try {
        while (at < bytes.length) at += (await writeBytes(this.#file, bytes, at)).bytesWritten;
        this.#isFailing = false;
        this.#isTorn = false;
      } catch (error) {
        this.#isTorn ||= at > 0;
        this.#failed((error as Error).message);
      }
    }
    this.#isWriting = false;
  }

  #takePending(): Uint8Array {
    const bytes = Buffer.from(`${this.#isTorn ? '\n' : ''}${this.#pending.join('')}`);
    this.#pending = [];
    this.#pendingCharacters = 0;
    return bytes;
  }

  #failed(message: string): void {
    if (!this.#isFailing) this.#complain(this.#path, message);
    this.#isFailing = true;
  }
}

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
/** A pipe that nobody reads is refused instead of waited for. */
const appending = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK;

async function opened(path: string): Promise<number> {
  await makeFolder(dirname(path), { recursive: true });
  return openFile(path, appending);
}
