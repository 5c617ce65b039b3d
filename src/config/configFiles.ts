/** What reading a configuration needs of the outside; `node/load.ts` has the real one. */
export interface ConfigFiles {
  /** Never throws. */
  read(path: string): ConfigFileText;
  /** The existing files a pattern with `*` or `?` names, sorted; a path without either gives itself. */
  expand(pattern: string): readonly string[];
  exists(path: string): boolean;
  /** This host's name, for configurations without a host-name. */
  readonly systemName: string;
}

export type ConfigFileText =
  | { readonly kind: 'text'; readonly text: string; readonly worldWritable: boolean }
  /** The system's code: ENOENT, EACCES, EISDIR ... */
  | { readonly kind: 'failed'; readonly code: string };

/** The folder a path lies in, with its slash; '' for a bare name. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/**
 * A path written in `file`: relative ones count from that file's folder. `.` and `x/..` are folded away, so
 * that one file has one name and an include that goes in a circle is seen at once.
 */
export function besideFile(file: string, path: string): string {
  const whole = path.startsWith('/') ? path : folderOf(file) + path;
  const parts: string[] = [];
  for (const part of whole.split('/')) {
    const parent = part === '..' && parts.length > 0 && parts.at(-1) !== '..';
    if (parent) parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return (whole.startsWith('/') ? '/' : '') + parts.join('/');
}

/** Configuration files that are texts, by path: for the embedded configuration, and for tests. */
export function memoryConfigFiles(texts: ReadonlyMap<string, string>, systemName: string): ConfigFiles {
  return {
    systemName,
    exists: (path) => texts.has(path),
    expand: (pattern) => {
      if (!/[*?]/.test(pattern)) return [pattern];
      const regex = wildcardPattern(pattern);
      return [...texts.keys()].filter((path) => regex.test(path)).sort();
    },
    read: (path) => {
      const text = texts.get(path);
      return text === undefined
        ? { kind: 'failed', code: 'ENOENT' }
        : { kind: 'text', text, worldWritable: false };
    },
  };
}

/** `*` and `?`, neither of which crosses a slash. */
export function wildcardPattern(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`);
}
