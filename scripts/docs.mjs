// Writes the pages of docs/ that are tables of the code (scripts/referencePages.ts).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { install, root } from './prepare.mjs';

install();
const { build } = await import('./build.mjs');
const pages = await import(pathToFileURL(await build('scripts/referencePages.ts', 'referencePages.js')).href);
for (const [path, text] of pages.referencePages()) {
  writeFileSync(join(root, path), text);
  console.log(`wrote ${path}`);
}
