// Brings a checkout to where its commands work: Debian packages, npm packages, generated declarations, TypeScript, the
// native part; with --gpusim, and where there is a CUDA backend to run on it, the simulated GPU. Uses nothing but Node
// itself; every step is skipped when it is done already.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => join(root, ...parts);

function stop(sentence) {
  console.error(`secateur: ${sentence}`);
  process.exit(1);
}

// Standard output belongs to the command that was asked for.
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0)
    stop(
      `this step failed${error === undefined ? '; its message is above' : ` (${error.message})`}: ${[command, ...args].join(' ')}`,
    );
}

const needed = ['g++', 'cmake', 'ninja-build', 'libdnnl-dev', 'dataset-fashion-mnist'];

function systemPackages() {
  const dpkg = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${Status}\n', ...needed], { encoding: 'utf8' });
  if (dpkg.error) return; // not Debian: the build says what it misses
  const installed = new Set(
    dpkg.stdout
      .split('\n')
      .filter((l) => l.endsWith(' install ok installed'))
      .map((l) => l.split(' ')[0]),
  );
  const missing = needed.filter((p) => !installed.has(p));
  if (missing.length === 0) return;
  const admin = process.getuid?.() === 0;
  const sudo = !admin && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  if (!admin && !sudo)
    stop(`these Debian packages are missing. Install them with: sudo apt-get install ${missing.join(' ')}`);
  console.error(`secateur: installing ${missing.join(' ')}`);
  const apt = (...args) => {
    const words = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-y', ...args];
    const [command, ...rest] = admin ? words : ['sudo', '-n', ...words];
    return spawnSync(command, rest, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  };
  if (!apt('install', ...missing) && !(apt('update') && apt('install', ...missing))) {
    stop(`apt-get could not install them. Try: apt-get update && apt-get install ${missing.join(' ')}`);
  }
}

/** Whether node_modules holds what package-lock.json asks for, by npm's own record of what it installed. */
function installed() {
  const record = at('node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const have = JSON.parse(readFileSync(record, 'utf8')).packages;
  const want = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  return Object.entries(want).every(
    ([path, { version, optional }]) => path === '' || optional || have[path]?.version === version,
  );
}

function npmPackages() {
  if (installed()) return;
  // `npm ci` empties the folder first, and behind a link that is somebody else's.
  if (lstatSync(at('node_modules'), { throwIfNoEntry: false })?.isSymbolicLink())
    stop('node_modules is a link to a folder that does not match package-lock.json. Run npm ci where it points to.');
  console.error('secateur: installing npm packages');
  // The install script would build the native part from declarations that are about to be generated.
  run('npm', ['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']);
}

/** Removes what was compiled from a source that is gone: it would still be tested and shipped. */
function removeOrphans() {
  for (const top of ['lib', 'src', 'test', 'bench']) {
    if (!existsSync(at('dist', top))) continue;
    for (const file of readdirSync(at('dist', top), { recursive: true })) {
      const source = /\.(js|d\.ts)$/.test(file) ? at(top, file.replace(/\.(js|d\.ts)$/, '.ts')) : undefined;
      if (source !== undefined && !existsSync(source)) unlinkSync(at('dist', top, file));
    }
  }
}

function newest(folder, match) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) latest = Math.max(latest, newest(path, match));
    else if (match.test(entry.name)) latest = Math.max(latest, statSync(path).mtimeMs);
  }
  return latest;
}

const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

systemPackages();

npmPackages();
removeOrphans();

const sources = Math.max(
  time(at('tsconfig.json')),
  time(at('scripts', 'bundle.mjs')),
  ...['lib', 'src', 'test', 'bench'].filter((d) => existsSync(at(d))).map((d) => newest(at(d), /\.ts$/)),
);
if (time(at('dist', '.compiled')) < sources) {
  console.error('secateur: compiling TypeScript');
  run(process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc')]);
  run(process.execPath, [at('scripts', 'bundle.mjs')]);
  writeFileSync(at('dist', '.compiled'), '');
}

run(process.execPath, [at('scripts', 'generate.mjs')]);
run(process.execPath, [at('scripts', 'document.mjs')]);
const native = Math.max(time(at('CMakeLists.txt')), newest(at('native'), /\.(cpp|h|cu|cuh|cmake)$/));
if (time(at('build', 'Release', 'secateur.node')) < native) {
  console.error('secateur: building the native part');
  run(process.execPath, [at('scripts', 'build.mjs')]);
}

const backend = existsSync(at('build', 'Release', 'libsecateur_cuda.so'));
const simulator = newest(at('test', 'native'), /\.(cpp|h|txt)$/);
if (process.argv.includes('--gpusim') && backend && time(at('build-gpusim', 'libcuda.so.1')) < simulator) {
  console.error('secateur: building the simulated GPU');
  run(process.execPath, [at('scripts', 'build.mjs'), '--gpusim']);
}
