// The package as a user gets it: what `npm pack` puts in, what tools for publishers say of it, and whether `import` and
// `require` of every entry work from an install of the packed file. The native part comes from this checkout.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const { exports, files, name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const faults = [];
const npm = (args, cwd) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const folder = mkdtempSync(join(tmpdir(), 'secateur-package-'));

function tool(script, args) {
  const run = spawnSync(process.execPath, [join(root, 'node_modules', script), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  if (run.status === 0) return;
  faults.push(`${script}: see above`);
  console.log(run.stdout + run.stderr);
}

try {
  const [packed] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root));
  const allowed = [
    /^dist\/bundle\/[\w/]+\.js$/,
    /^dist\/(lib|src)\/[\w/]+\.d\.ts$/,
    /^native\/(src|cuda)\/[\w/]+\.(cpp|h|cu|cuh)$/,
    /^native\/cuda\/images\.cmake$/,
    /^scripts\/build\.mjs$/,
    /^(package\.json|CMakeLists\.txt|binding\.gyp|README\.md|CHANGELOG\.md|LICENSE)$/,
  ];
  const paths = packed.files.map((f) => f.path);
  for (const path of paths)
    if (!allowed.some((rule) => rule.test(path))) faults.push(`${path} must not be in the package`);
  for (const entry of files) {
    const [folder, ending] = entry.split('**/*');
    if (!paths.some((path) => path.startsWith(folder) && path.endsWith(ending ?? '')))
      faults.push(`${entry} is missing in the package`);
  }
  // Declarations whose source is gone would be shipped too.
  for (const path of paths.filter((p) => p.endsWith('.d.ts'))) {
    const source = path.replace(/^dist\//, '').replace(/\.d\.ts$/, '.ts');
    if (spawnSync('test', ['-f', join(root, source)]).status !== 0)
      faults.push(`${path} has no source: remove dist/ and build`);
  }
  // Errors and `console.log(model)` show the names of classes; joining files gives a second one of a name another.
  for (const path of paths.filter((p) => p.endsWith('.js')))
    for (const [found] of readFileSync(join(root, path), 'utf8').matchAll(/\bclass \w+\$\d+/g))
      faults.push(`${path}: ${found}: two classes have one name`);
  const tarball = join(folder, packed.filename);
  tool('publint/src/cli.js', ['run', tarball, '--strict']);
  tool('@arethetypeswrong/cli/dist/index.js', [tarball, '--profile', 'esm-only', '--format', 'ascii']);

  const user = join(folder, 'user');
  execFileSync('mkdir', [user]);
  writeFileSync(join(user, 'package.json'), '{ "name": "user", "private": true }');
  npm(
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', tarball],
    user,
  );
  const entries = Object.entries(exports)
    .filter(([, target]) => target.default !== undefined)
    .map(([entry]) => entry.replace('.', name));
  const script = (load, end) => `
    for (const entry of ${JSON.stringify(entries)})
      if (Object.keys(${load}).length === 0) throw new Error(entry + ' exports nothing');
    const { tensor, add } = ${load.replace('entry', JSON.stringify(name))};
    if (add(tensor([1, 2]), tensor([3, 4])).data()[1] !== 6) throw new Error('1 + 1 went wrong');
    ${end}`;
  writeFileSync(join(user, 'imports.mjs'), script('await import(entry)', ''));
  writeFileSync(join(user, 'requires.cjs'), script('require(entry)', ''));
  const env = {
    ...process.env,
    SECATEUR_ADDON: process.env.SECATEUR_ADDON ?? join(root, 'build/Release/secateur.node'),
  };
  for (const file of ['imports.mjs', 'requires.cjs']) {
    const run = spawnSync(process.execPath, [file], { cwd: user, env, encoding: 'utf8' });
    if (run.status !== 0) faults.push(`${file}: ${run.stderr.trim()}`);
  }
  // Has to find the program beside it that looks at the GPU.
  const doctor = spawnSync(join(user, 'node_modules/.bin/secateur'), ['doctor'], { cwd: user, env, encoding: 'utf8' });
  if (doctor.status !== 0 || !doctor.stdout.includes('cpu') || /program that looked|Cannot find/.test(doctor.stdout))
    faults.push(`secateur doctor: ${doctor.stdout}${doctor.stderr}${doctor.error?.message ?? ''}`);
  console.log(`${paths.length} files, ${Math.round(packed.size / 1024)} KiB packed, ${entries.length} entries`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const fault of faults) console.log(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
