import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { type ConfigFiles, type ConfigFileText, wildcardPattern } from '../configFiles.ts';
import { type ReadConfig, readConfig } from '../readConfig.ts';

/** Far above any configuration: a wrong path should not fill memory. */
const maxFileBytes = 64 * 1024 * 1024;

/** Reads and resolves a configuration from disk. What is missing or unreadable is a finding. */
export function loadConfig(mainFile: string): ReadConfig {
  return readConfig(mainFile, diskConfigFiles);
}

/** Configuration files from this host's disk. Paths are taken as the process sees them. */
export const diskConfigFiles: ConfigFiles = {
  read: readText,
  expand: (pattern) => (/[*?]/.test(pattern) ? expandWildcards(pattern) : [pattern]),
  exists: existsSync,
  get systemName() {
    return hostname();
  },
};

function readText(path: string): ConfigFileText {
  try {
    const stat = statSync(path);
    // A pipe or a device could hold us up for ever.
    if (!stat.isFile()) return { kind: 'failed', code: stat.isDirectory() ? 'EISDIR' : 'ENOTFILE' };
    if (stat.size > maxFileBytes) return { kind: 'failed', code: 'EFBIG' };
    const worldWritable = (stat.mode & 0o002) !== 0;
    return { kind: 'text', text: readFileSync(path, 'utf8'), worldWritable };
  } catch (error) {
    return { kind: 'failed', code: (error as NodeJS.ErrnoException).code ?? 'EIO' };
  }
}

/** `*` and `?` in any part of the path; hidden files only where the pattern begins with a dot. */
function expandWildcards(pattern: string): readonly string[] {
  let found = [pattern.startsWith('/') ? '/' : ''];
  const parts = pattern.split('/').filter((part) => part !== '');
  for (const part of parts) {
    found = found.flatMap((folder) => {
      if (!/[*?]/.test(part)) return existsSync(folder + part) ? [`${folder + part}/`] : [];
      return matching(folder, part).map((name) => `${folder}${name}/`);
    });
  }
  return found.map((path) => path.slice(0, -1)).sort();
}

function matching(folder: string, part: string): readonly string[] {
  const pattern = wildcardPattern(part);
  try {
    const names = readdirSync(folder === '' ? '.' : folder);
    return names.filter((name) => pattern.test(name) && (part.startsWith('.') || !name.startsWith('.')));
  } catch {
    return [];
  }
}
