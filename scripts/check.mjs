// Everything a reviewer would check beyond the tests, in one command. All steps run; the exit code is 1 if one fails.
// `npm run check -- format lint` runs the named steps only.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const node = (script, ...args) => [process.execPath, [join(root, script), ...args]];
const sources = spawnSync('git', ['ls-files', '--', 'native/**.cpp', 'native/**.h', 'native/**.cu', 'native/**.cuh'], {
  cwd: root,
  encoding: 'utf8',
}).stdout.split('\n');
const written = sources.filter((file) => file !== '' && !/^native\/src\/(ops\/|ops_generated)/.test(file));

// name, what it looks at, command, Debian package of the tool (when it is not an npm one)
const steps = [
  ['types', 'TypeScript compiles', ...node('node_modules/typescript/bin/tsc', '--noEmit')],
  [
    'format',
    'TypeScript, JSON and Markdown are formatted',
    ...node('node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'),
  ],
  ['lint', 'eslint with type information', ...node('node_modules/eslint/bin/eslint.js', '--max-warnings=0')],
  ['clang-format', 'C++ is formatted', 'clang-format', ['--dry-run', '-Werror', ...written]],
  ['clang-tidy', 'C++ is free of what .clang-tidy names', ...node('scripts/check/tidy.mjs'), 'clang-tidy'],
  ['house', 'the rules of the house', ...node('dist/test/house.test.js')],
  ['generated', 'C++ declarations match lib/ops', ...node('scripts/generate.mjs', '--check')],
  ['docs', 'docs/ops.md matches lib/ops', ...node('scripts/document.mjs', '--check')],
  ['dead code', 'every export has a user', ...node('scripts/check/deadCode.mjs')],
  ['package', 'npm pack, publint, are-the-types-wrong, import and require', ...node('scripts/check/package.mjs')],
];

const only = process.argv.slice(2);
const names = steps.map(([name]) => name);
const unknown = only.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`check: no step is called ${unknown.join(', ')}. Steps: ${names.join(', ')}.`);
  process.exit(2);
}

// Without tap's own runner a file has 30 seconds, too few for the house test on a busy machine.
const env = { ...process.env, TAP_TIMEOUT: process.env.TAP_TIMEOUT ?? '900' };
const results = [];
for (const [name, what, command, args, debian] of steps) {
  if (only.length > 0 && !only.includes(name)) continue;
  const start = process.hrtime.bigint();
  const needed = debian ?? command;
  const missing = needed !== process.execPath && spawnSync(needed, ['--version']).error !== undefined;
  const run = missing
    ? { status: 1, stdout: `${needed} is missing. Install it with: apt-get install ${needed}\n`, stderr: '' }
    : spawnSync(command, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28 });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const ok = run.status === 0;
  results.push(ok);
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s  ${what}`);
  if (ok) continue;
  const said = `${run.stdout}${run.stderr}${run.error?.message ?? ''}`.trimEnd().split('\n');
  // Of a test's output only what failed, and what it found.
  const shown = name === 'house' ? said.filter((line) => /^\s*(not ok|\+ |Error)/.test(line)) : said;
  console.log(shown.map((line) => `       ${line}`).join('\n'));
}
const failed = results.filter((ok) => !ok).length;
console.log(`check: ${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
