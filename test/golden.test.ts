// The golden files on both devices; and that a check of them can fail, honours what the files say, and reads any set of
// this form.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { SafetensorsFile, rawArrayOf, toFloat64, writeSafetensors, type RawArray } from '../lib/io/index.js';
import type { Row } from './golden/comparison.js';
import { compareFolder } from './golden/runner.js';
import { root } from './house/tree.js';

const folder = join(root, 'test/golden');
const covered = ['ops/ops', 'methods/pdp', 'models/resnet18', 'models/resnet50'];

t.test('every golden file, on both devices', async (t) => {
  const rows = await compareFolder(folder, ['ref', 'cpu']);
  for (const { file, group, device, verdict, difference, tolerance, note = '' } of rows) {
    const wanted = covered.includes(file) || (file === 'methods/granet' && group === 'erk') ? 'ok' : 'not covered';
    t.equal(verdict, wanted, `${file} ${group} on ${device}: ${difference} of ${tolerance} ${note}`);
  }
  for (const file of covered)
    t.ok(rows.filter((r) => r.file === file).length >= 16, `${file} has its groups on both devices`);
});

type Settings = Record<string, unknown> &
  Record<string, { cases?: Record<string, unknown>[] } & Record<string, unknown>>;

/** Copies a golden file into a folder, with some of its arrays or settings changed. */
function altered(
  into: string,
  file: string,
  change: { arrays?: (key: string, values: Float64Array) => void; settings?: (settings: Settings) => void },
): void {
  const source = SafetensorsFile.open(join(folder, `${file}.safetensors`));
  const arrays = source.keys().map((key): [string, RawArray] => {
    const raw = source.array(key);
    if (raw.dtype !== 'F64') return [key, raw];
    const values = toFloat64(raw, key);
    change.arrays?.(key, values);
    return [key, rawArrayOf(values, raw.shape)];
  });
  source.close();
  const name = join(into, file.replace('/', '_'));
  writeSafetensors(`${name}.safetensors`, arrays);
  const settings = JSON.parse(readFileSync(join(folder, `${file}.json`), 'utf8')) as Settings;
  change.settings?.(settings);
  writeFileSync(`${name}.json`, JSON.stringify(settings));
}

const offGroups = (rows: readonly Row[]): string[] => rows.filter((r) => r.verdict === 'off').map((r) => r.group);

t.test('one wrong value in any array is seen', async (t) => {
  const inputs = ['worked/w'];
  for (const file of covered) {
    const dir = t.testdir();
    const expected: string[] = [];
    altered(dir, file, {
      arrays: (key, values) => {
        if (inputs.includes(key)) return;
        expected.push(key);
        const last = values[values.length - 1] as number;
        values[values.length - 1] = Number.isNaN(last) ? 0 : last + 1 + Math.max(...values.map(Math.abs));
      },
    });
    const rows = await compareFolder(dir, ['ref']);
    t.strictSame(rows.flatMap((r) => r.off).sort(), expected.sort(), file);
  }
});

t.test('one wrong value is off in its own group alone', async (t) => {
  const dir = t.testdir();
  altered(dir, 'methods/pdp', {
    arrays: (key, values) => {
      if (key.endsWith('hard_mask') && key.startsWith('nm/')) values[0] = 1 - (values[0] as number);
    },
  });
  const rows = await compareFolder(dir, ['ref', 'cpu']);
  t.strictSame(offGroups(rows), ['nm', 'nm']);
  t.ok(
    rows.filter((r) => r.group === 'nm').every((r) => r.tolerance === 0),
    'a mask has no tolerance',
  );
});

t.test('settings are honoured', async (t) => {
  const changes: [file: string, block: string, setting: string, value: unknown][] = [
    ['methods/pdp', 'elem', 'tau', 2e-4],
    ['methods/pdp', 'nm', 'layout', 'flat'],
    ['methods/pdp', 'sched', 'first', 1],
    ['methods/pdp', 'trace', 'first', 0],
    ['methods/pdp', 'trace', 'through_threshold', true],
    ['methods/pdp', 'trace', 'weight_decay', 0],
    ['methods/pdp', 'trace_nm', 'warmup_epochs', 2],
    ['ops/ops', 'cross_entropy', 'label_smoothing', 0.3],
    ['ops/ops', 'attention', 'scale', 0.7],
    ['ops/ops', 'clip', 'max_norm', 0.5],
    ['models/resnet18', 'optim', 'clip_grad_norm', 0.01],
    ['models/resnet18', 'config', 'bn_momentum', 0.2],
  ];
  for (const [file, block, setting, value] of changes) {
    const dir = t.testdir();
    altered(dir, file, {
      settings: (settings) => {
        for (const one of settings[block]?.cases ?? [settings[block] as Record<string, unknown>]) one[setting] = value;
      },
    });
    const off = offGroups(await compareFolder(dir, ['ref']));
    const groups = file.startsWith('models') ? ['after', 'buffers', 'probe', 'norm', 'trace'] : [block];
    t.ok(off.length > 0 && off.every((g) => groups.includes(g)), `${file} ${block}.${setting}: ${off.join(', ')}`);
  }
});

t.test('the tolerance is the file’s, by the longest prefix', async (t) => {
  const dir = t.testdir();
  altered(dir, 'ops/ops', {
    settings: (settings) => {
      const tolerance = settings['tolerance'] as unknown as Record<string, Record<string, number>>;
      tolerance['float64'] = { '': 1e-9, 'conv2d/': 1e-30, 'conv2d/0/': 1e-9 };
    },
  });
  const rows = await compareFolder(dir, ['ref']);
  t.strictSame(offGroups(rows), ['conv2d']);
  t.notOk(rows.flatMap((r) => r.off).some((key) => key.startsWith('conv2d/0/')));
});

t.test('a set of other shapes, keys and settings', async (t) => {
  const dir = t.testdir();
  // One prunes 2 of 5 at tau 0.5: t lies halfway between 0.5 and 1.
  const w = [1, -0.25, 0.5, -2, 4];
  const tau = 0.5;
  const m = w.map((x) => 1 / (1 + Math.exp((0.75 ** 2 - x * x) / tau)));
  const g = [1, 2, -1, 0.5, 3];
  const array = (values: readonly number[], shape: number[]): RawArray => rawArrayOf(Float64Array.from(values), shape);
  const row = [5, 1];
  writeSafetensors(join(dir, 'mine.safetensors'), [
    ['elem/w', rawArrayOf(Float32Array.from(w), row)],
    ['elem/g', rawArrayOf(Float32Array.from(g), row)],
    ['elem/a/t', array([0.75], [])],
    ['elem/a/m', array(m, row)],
    [
      'elem/a/out',
      array(
        w.map((x, i) => x * (m[i] as number)),
        row,
      ),
    ],
    [
      'elem/a/grad',
      array(
        w.map(
          (x, i) =>
            (g[i] as number) * ((m[i] as number) + ((2 * x * x) / tau) * (m[i] as number) * (1 - (m[i] as number))),
        ),
        row,
      ),
    ],
    ['elem/a/hard', array([1, 0, 0, -2, 4], row)],
    ['elem/b/t', array([NaN], [])],
  ]);
  const settings = {
    method: 'pdp',
    elem: { cases: [{ key: 'elem/a', r: 0.4, tau, pruned: 2 }] },
    tolerance: { float64: { '': 1e-12 }, float32: { '': 1e-6 } },
  };
  writeFileSync(join(dir, 'mine.json'), JSON.stringify(settings));
  const rows = await compareFolder(dir, ['ref', 'cpu']);
  t.strictSame(
    rows.map((r) => [r.file, r.group, r.verdict, r.note]),
    ['ref', 'cpu'].map(() => ['mine', 'elem', 'not covered', 'no check for elem/b/t']),
    'what no case names is not covered, the rest fits',
  );
  t.ok(rows.every((r) => r.difference !== null && r.tolerance !== null && r.difference <= r.tolerance));
});

t.test('the command', async (t) => {
  const golden = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/test/golden/main.js'), ...args], { encoding: 'utf8' });
  const dir = t.testdir();
  altered(dir, 'methods/pdp', {
    arrays: (key, values) => {
      if (key === 'worked/t') values[0] = 3;
    },
  });
  const off = golden(dir, '--json', '--device', 'ref');
  t.equal(off.status, 1, 'exit 1 when one is off');
  const lines = off.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  t.equal(lines.find((l) => l.group === 'worked')?.verdict, 'off');
  t.ok(lines.every((l) => l.file === 'methods_pdp' && l.device === 'ref' && 'difference' in l && 'tolerance' in l));
  t.match(off.stderr, /worked\/t/, 'says which array');

  const fine = golden(join(folder, 'ops'), '--device', 'cpu');
  t.equal(fine.status, 0);
  t.match(fine.stdout, /^ops {2}conv2d {2}\S+ {2}1\.00e-4 {2}ok {2}cpu$/m);

  const hostile: [string, RegExp][] = [
    ['{"method": "pdp", "elem": {"cases": [{"key": "elem/none", "r": "x", "tau": 0}]}}', /elem: cases\.0\.r/],
    ['{"method": "pdp"', /is not JSON/],
    ['[]', /expected record/i],
    ['{"method": "pdp", "elem": {"cases": [{"key": "elem/none", "r": 0.5, "tau": 0.1}]}}', /no tensor "elem\/none/],
    ['{"method": "__proto__", "__proto__": {"cases": 1}}', /^$/],
  ];
  for (const [text, said] of hostile) {
    writeFileSync(join(dir, 'methods_pdp.json'), text);
    const { status, stderr } = golden(dir, '--device', 'ref');
    t.match(stderr, said, text);
    t.equal(status, text.includes('proto') ? 0 : 1, text);
  }
  writeFileSync(join(dir, 'methods_pdp.safetensors'), 'torn');
  t.equal(golden(dir).status, 1, 'a torn file is off');
  t.equal(golden(t.testdir()).status, 2, 'an empty folder');
  t.equal(golden().status, 2, 'no folder');
  t.equal(golden(folder, '--device', 'tpu').status, 2, 'no such device');
});
