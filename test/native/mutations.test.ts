// The simulated GPU finds planted faults: each mutation of a kernel's source is compiled and run by the op's conformance
// suite, and must be caught by the check named for it; the sources as they are must pass the same way.
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { type Check, type Mutation, checks, mutations } from './mutations.js';
import { type Conformance, conform, noSimulator } from './simulated.js';

const root = packageRoot();
const nvcc = /^NVCC:FILEPATH=(.*)$/m.exec(
  spawnSync('cat', [join(root, 'build/CMakeCache.txt')], { encoding: 'utf8' }).stdout,
)?.[1];
const skip = noSimulator !== false ? noSimulator : nvcc === undefined ? 'build/ does not say where nvcc is' : false;
const work = mkdtempSync(join(tmpdir(), 'secateur-mutations-'));
t.teardown(() => rmSync(work, { recursive: true }));

/** Compiles a stem from a copy of the sources and runs its conformance suite on the result. */
async function runOn(name: string, stem: string, change: (sources: string) => void): Promise<Conformance> {
  const folder = join(work, name.replace(/\W+/g, '-'));
  const sources = join(folder, 'cuda');
  mkdirSync(folder);
  cpSync(join(root, 'native/cuda'), sources, { recursive: true });
  change(sources);
  const ptx = ['-ptx', '-std=c++17', '-lineinfo', '-arch=compute_80', `-I${join(root, 'native/src')}`, `-I${sources}`];
  await promisify(execFile)(nvcc as string, [...ptx, '-o', join(folder, `${stem}.ptx`), join(sources, `${stem}.cu`)]);
  const ran = await conform({ SECATEUR_GPUSIM_PTX: folder, SECATEUR_TEST_OPS: stem, TAP_BAIL: '1' });
  if (!ran.replaced.includes(`${stem}.cu`))
    throw new Error(`the simulator did not load the changed ${stem}: ${ran.ending}`);
  return ran;
}

function caughtBy({ faults, failed, passed, ending }: Conformance): Check | undefined {
  const [fault] = faults;
  if (fault === undefined) {
    if (failed.length > 0) return 'values';
    if (passed > 0) return undefined;
    throw new Error(`the suite did not run: ${ending}`);
  }
  const found = Object.entries(checks).find(([, says]) => says.test(fault));
  if (found === undefined) throw new Error(`no check is known to say: ${fault}`);
  return found[0] as Check;
}

function plant({ file, from, to }: Mutation, sources: string): void {
  const path = join(sources, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} does not hold exactly once: ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}

t.jobs = 2;
const stems = [...new Set(mutations.map(({ stem }) => stem))];
for (const stem of stems) {
  t.test(`${stem} as it is passes`, { skip }, async (t) => {
    const { passed, failed, faults } = await runOn(`${stem} unchanged`, stem, () => undefined);
    t.strictSame([...faults, ...failed], []);
    t.ok(passed > 0, `${passed} assertions`);
  });
}
const found = new Map<Mutation, string>();
await Promise.all(
  mutations.map((mutation) =>
    t.test(`${mutation.stem}: ${mutation.name}`, { skip }, async (t) => {
      const ran = await runOn(mutation.name, mutation.stem, (sources) => plant(mutation, sources));
      const check = caughtBy(ran);
      found.set(mutation, check ?? 'nothing');
      t.equal(check, mutation.caughtBy, ran.faults[0] ?? ran.failed[0] ?? 'nothing was found');
    }),
  ),
);
const rows = mutations.map(({ name, stem, file, caughtBy }) => `| ${name} | ${file} | ${stem} | ${caughtBy} |`);
for (const [{ name, file, stem }, check] of found) t.comment(`| ${name} | ${file} | ${stem} | ${check} |`);

t.test('the table in the documentation is this one', (t) => {
  const [, table = ''] = readFileSync(join(root, 'test/native/gpusim/README.md'), 'utf8').split('| caught by');
  const written = table.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| -'));
  t.strictSame(
    written.map((line) => line.replace(/ +/g, ' ')),
    rows,
    'test/native/gpusim/README.md has these rows',
  );
  t.end();
});
