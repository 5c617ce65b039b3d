import { openSync, writeSync } from 'node:fs';

/** Notes are cut and padded to this, so that each covers the one before. */
const noteBytes = 64;

/**
 * A file for a few words, written at once and without sync: they are to outlive the process, not the machine.
 * The file is made with the first word. A disk that fails is passed over.
 */
export function scratchFile(path: string): { note(text: string): void } {
  let file: number | undefined;
  return {
    note(text) {
      try {
        file ??= openSync(path, 'w', 0o600);
        writeSync(file, text.slice(0, noteBytes).padEnd(noteBytes), 0, 'latin1');
      } catch {
        // Without a note nobody is blamed.
      }
    },
  };
}
