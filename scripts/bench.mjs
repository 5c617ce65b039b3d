// Measures; CONTRIBUTING says how to read it. Figures only: nothing here passes or fails by time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { prepare, root } from './prepare.mjs';

const endToEnd = ['inject', 'injectNone', 'relay'];
/** What peers do as we do it: nothing is accepted before it is synced. */
const withPeers = ['inject', 'relay'];
const all = [...endToEnd, 'spool', 'scheduler'];
/** Minutes, and gigabytes of the temporary folder: only when asked for. */
const named = [...all, 'operating', 'backlog'];
const usage = `usage: npm run bench -- [NAME...] [--against DIR] [--rounds N] [--seconds S]
  NAME           ${named.join(', ')}; default: all but operating and backlog, with --against ${endToEnd.join(' and ')}
  --against DIR  the root of another checkout, measured in turns with this one
  --peers        Postfix and Haraka, where installed, measured in turns with it; default: ${withPeers.join(' and ')}
  --rounds N     how often each figure is measured (3)
  --seconds S    for how long (3; spool: 0.5)
  --messages N   how many the backlog holds (1000000)`;

const { names, against, peers, rounds, seconds, messages } = given();
await prepare();
console.log(`Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model}, ${loadText()}`);
const scenarios = names.filter((name) => endToEnd.includes(name));
if (scenarios.length > 0) {
  for (const part of ['round', 'loadWorker', 'sinkWorker']) await bundle(part);
  const { benchEndToEnd } = await import(await bundle('endToEnd'));
  await benchEndToEnd({ names: scenarios, here: root, against, withPeers: peers, rounds, seconds });
}
if (names.includes('spool')) {
  const { benchSpool } = await import(await bundle('spool'));
  await benchSpool({ rounds, seconds });
}
if (names.includes('backlog')) {
  for (const part of ['loadWorker', 'sinkWorker']) await bundle(part);
  await bundle('backlog');
  const child = spawn(
    process.execPath,
    [join(root, 'dist', outputOf('backlog')), ...(messages ? [messages] : [])],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  process.once('exit', () => child.kill());
  await once(child, 'exit');
}
for (const name of ['scheduler', 'operating']) {
  if (!names.includes(name)) continue;
  console.log(`\n${name}:`);
  await bundle(name);
  // A process of its own: it measures the heap.
  const child = spawn(process.execPath, ['--expose-gc', join(root, 'dist', outputOf(name))], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => child.kill());
  await once(child, 'exit');
}
console.log(`\n${loadText()}`);

function given() {
  try {
    const options = {
      against: { type: 'string' },
      peers: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      messages: { type: 'string' },
    };
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    if (values.peers && values.against !== undefined)
      throw new Error('--peers and --against exclude each other');
    const known = values.peers ? withPeers : values.against === undefined ? named : endToEnd;
    const unknown = positionals.find((name) => !known.includes(name));
    if (unknown !== undefined) throw new Error(`"${unknown}" is none of ${known.join(', ')}`);
    return {
      names: positionals.length > 0 ? positionals : known === named ? all : known,
      peers: values.peers,
      against: values.against && checkout(values.against),
      rounds: positive(values.rounds),
      seconds: positive(values.seconds),
      messages: positive(values.messages),
    };
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    return process.exit(2);
  }
}

function positive(text) {
  if (text === undefined) return undefined;
  if (!(Number(text) > 0)) throw new Error(`"${text}" is no number above 0`);
  return Number(text);
}

/** npm runs scripts in the root; the folder was named where the user stood. */
function checkout(folder) {
  const path = resolve(process.env.INIT_CWD ?? '.', folder);
  if (!existsSync(join(path, 'bin', 'penstock'))) throw new Error(`no bin/penstock in ${path}`);
  // Its bin/penstock may run `npm ci`, which would empty the folder that the link leads to.
  if (lstatSync(join(path, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(`${path} needs a node_modules of its own, not a link`);
  }
  return path;
}

async function bundle(part) {
  return pathToFileURL(await build(`bench/${part}.ts`, outputOf(part))).href;
}

/** dist/ is one flat folder. */
function outputOf(part) {
  return `bench${part[0].toUpperCase()}${part.slice(1)}.js`;
}

function loadText() {
  return `load average ${loadavg()[0].toFixed(2)}`;
}
