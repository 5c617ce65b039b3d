// Makes a fresh clone runnable: installs dependencies and builds, each only when needed, told on stderr.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist', 'main.js');
const lock = join(root, 'dist', '.preparing');

/** Dependencies and dist/main.js are there and current when this returns; otherwise the process ends with 2. */
export async function prepare() {
  if (!needsInstall() && !needsBuild()) return;
  await alone(async () => {
    install();
    if (!needsBuild()) return;
    say('building');
    const { build } = await import('./build.mjs');
    await build().catch((error) => giveUp(`the build failed: ${error.message}`));
  });
}

/** `npm ci` when package-lock.json is newer than what is installed. */
export function install() {
  if (!needsInstall()) return;
  // npm ci empties the folder first: behind a link that would be somebody else's.
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    giveUp('node_modules is a link and not current: install there, or remove the link');
  }
  say('installing dependencies (npm ci)');
  // Its stdout goes to our stderr: stdout belongs to the command's own output.
  const { status, error } = spawnSync('npm', ['ci', '--include=dev'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (error !== undefined) giveUp(`cannot run npm: ${error.message}`);
  if (status !== 0) giveUp(`npm ci ended with ${status}`);
}

function needsInstall() {
  return (
    modifiedMs(join(root, 'node_modules', '.package-lock.json')) < modifiedMs(join(root, 'package-lock.json'))
  );
}

/** A package without src/ is an installation: its dist/ is what it is. */
function needsBuild() {
  return modifiedMs(built) < newestMs(join(root, 'src'));
}

function newestMs(folder) {
  if (!existsSync(folder)) return 0;
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestMs(path));
    else if (!entry.name.endsWith('.test.ts')) newest = Math.max(newest, modifiedMs(path));
  }
  return newest;
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Two commands started at once in a fresh clone: one prepares, the other waits for it. */
async function alone(work) {
  mkdirSync(join(root, 'dist'), { recursive: true });
  for (let told = false; !tookLock(); told = true) {
    if (!told) say('waiting for another penstock that is installing or building');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const leave = () => unlinkSync(lock);
  process.once('exit', leave);
  await work();
  process.off('exit', leave);
  leave();
}

function tookLock() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') giveUp(`cannot write ${lock}: ${error.message}`);
  }
  if (!isAlive(holder())) removeStale();
  return false;
}

function holder() {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return 0;
  }
}

/** A pid of 0 is a lock just being written or just gone: look again. */
function isAlive(pid) {
  if (pid === 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function removeStale() {
  try {
    unlinkSync(lock);
  } catch {
    // Another waiter was faster.
  }
}

function say(what) {
  process.stderr.write(`penstock: ${what} ...\n`);
}

function giveUp(why) {
  process.stderr.write(`penstock: ${why}\n`);
  process.exit(2);
}
