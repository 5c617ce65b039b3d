// Bundles TypeScript to run on Node 20, which cannot read it: src/main.ts to dist/main.js.
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './prepare.mjs';

/**
 * Bundles `entry` (from the project's root) to dist/`output`. Files appear whole: written aside, then
 * renamed. They carry the time the build began, so a file edited meanwhile counts as newer.
 */
export async function build(entry = 'src/main.ts', output = 'main.js') {
  // Not at the top: prepare.mjs must load before anything is installed.
  const { build: bundle } = await import('esbuild');
  const began = new Date();
  const dist = join(root, 'dist');
  mkdirSync(dist, { recursive: true });
  const aside = mkdtempSync(join(dist, '.building-'));
  try {
    await bundle({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: join(aside, output),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      sourcemap: true,
      logLevel: 'warning',
    });
    // The map first: whoever sees the code then finds its map.
    for (const name of [`${output}.map`, output]) {
      utimesSync(join(aside, name), began, began);
      renameSync(join(aside, name), join(dist, basename(name)));
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return join(dist, output);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(`built ${await build()}`);
}
