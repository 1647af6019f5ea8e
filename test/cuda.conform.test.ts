// The conformance suite on the simulated GPU: every kernel under several schedules, once with all work put off as long as
// a real device may, and once with approximate functions off by as much as hardware may have them; attention once more
// with the stand-in for cuDNN, beside which a few kernels work; and that the suite launches every kernel there is.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../lib/core/native.js';
import { conform, noSimulator, standIns } from './native/simulated.js';

const runs: readonly Readonly<Record<string, string>>[] = [
  { SECATEUR_GPUSIM_SEED: '1' },
  { SECATEUR_GPUSIM_SEED: '2' },
  { SECATEUR_GPUSIM_SEED: '3', SECATEUR_GPUSIM_DEFER: '1' },
  { SECATEUR_GPUSIM_SEED: '4', SECATEUR_GPUSIM_PERTURB: '1' },
  { SECATEUR_GPUSIM_SEED: '5', SECATEUR_TEST_OPS: 'scaledDotProductAttention', ...standIns },
];

const folder = mkdtempSync(join(tmpdir(), 'secateur-conform-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const launched = new Set<string>();

// One thread interprets, so two runs share two cores.
t.jobs = 2;
for (const settings of runs) {
  const name = Object.entries(settings)
    .filter(([key]) => !(key in standIns))
    .map(([key, value]) => `${key.replace(/SECATEUR_(GPUSIM_)?/, '')}=${value}`);
  t.test(`conformance on the simulated GPU, ${name.join(' ')}`, { skip: noSimulator }, async (t) => {
    const counters = join(folder, name.join('-'));
    const { passed, failed, faults, ending } = await conform({ ...settings, SECATEUR_GPUSIM_COUNTERS: counters });
    t.strictSame(faults, [], 'the simulator finds no fault');
    t.strictSame(failed.slice(0, 20), [], `${passed} assertions hold, ${failed.length} do not`);
    t.ok(passed > 0, `the suite ran to its end: ${ending}`);
    for (const line of readFileSync(counters, 'utf8').trim().split('\n'))
      launched.add((JSON.parse(line) as { kernel: string }).kernel);
  });
}

t.test('the suite launches every kernel', { skip: noSimulator, buffered: false }, (t) => {
  const images = join(packageRoot(), 'build/images');
  const kernels = readdirSync(images, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.compute_80.ptx') || file.endsWith('.ptx'))
    .flatMap((file) => [...readFileSync(join(images, file), 'utf8').matchAll(/\.entry (\w+)/g)])
    .map(([, kernel = '']) => kernel);
  t.ok(kernels.length > 0, 'there are kernels');
  t.strictSame(
    [...new Set(kernels)].filter((kernel) => !launched.has(kernel)),
    [],
    'none is left out',
  );
  t.end();
});
