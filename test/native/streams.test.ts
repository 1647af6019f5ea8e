// Work that the simulated GPU puts off as a real one may: a program that waits where it has to is right in every order,
// one that does not is wrong in some; and the backend waits where it has to.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { conform, noSimulator } from './simulated.js';

const root = packageRoot();
const seeds = [...Array(12).keys()].map((seed) => String(seed + 1));

/** What the program said for each order of the work. */
function outcomes(words: readonly string[], settings: Readonly<Record<string, string>>): string[][] {
  return seeds.map((seed) => {
    const env = { SECATEUR_LIBCUDA: join(root, 'build-gpusim/libcuda.so.1'), SECATEUR_GPUSIM_SEED: seed, ...settings };
    const { status, stdout, stderr } = spawnSync(join(root, 'build-gpusim/launch/streams'), words, {
      encoding: 'utf8',
      env,
    });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim().split('\n');
  });
}

const parts = ['a stream after another', 'the host after a stream', 'memory that is not page-locked needs no wait'];
const right = parts.map((part) => `${part}: right`);

t.test('with its waits the program is right in every order', { skip: noSimulator }, (t) => {
  t.strictSame(
    outcomes([], { SECATEUR_GPUSIM_DEFER: '1' }),
    seeds.map(() => right),
  );
  t.end();
});

for (const [name, words, settings] of [
  ['without them', ['dropped'], {}],
  ['with waits that do nothing', [], { SECATEUR_GPUSIM_EVENTS: '0' }],
] as const) {
  t.test(`${name} it is wrong in some`, { skip: noSimulator }, (t) => {
    const said = outcomes(words, { SECATEUR_GPUSIM_DEFER: '1', ...settings });
    const wrong = (part: string): number => said.filter((lines) => lines.includes(`${part}: wrong`)).length;
    for (const part of parts.slice(0, 2)) t.ok(wrong(part) > 0, `${part}: ${wrong(part)} of ${seeds.length}`);
    t.equal(wrong(parts[2] as string), 0, 'memory that is not page-locked');
    t.strictSame(
      outcomes(words, settings),
      seeds.map(() => right),
      'work that is done at once hides it',
    );
    t.end();
  });
}

t.test('the backend waits where it has to', { skip: noSimulator }, async (t) => {
  const settings = { SECATEUR_GPUSIM_DEFER: '1', SECATEUR_TEST_OPS: 'relu,softmax,threshold,pdpStep,adam' };
  const { passed, failed, faults } = await conform(settings);
  t.ok(passed > 0, `${passed} assertions`);
  t.strictSame([...faults, ...failed], [], 'its results are right');
  const without = await conform({ ...settings, SECATEUR_GPUSIM_EVENTS: '0' });
  t.ok(without.failed.length + without.faults.length > 0, 'and wrong when its waits for events do nothing');
});
