// The command line end to end, on tiny input: the files it writes, its exit codes, its messages.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { SafetensorsFile, toFloat32 } from '../../lib/io/index.js';
import type { ReportData } from '../../src/pdp/index.js';

const program = join(packageRoot(), 'dist/bundle/src/cli/main.js');
const dir = mkdtempSync(join(tmpdir(), 'secateur-cli-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

const secateur = (...args: string[]): Outcome =>
  spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

const idx = (dims: number[], bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(4 + 4 * dims.length);
  head.writeUInt32BE(0x0800 | dims.length, 0);
  dims.forEach((d, i) => head.writeUInt32BE(d, 4 + 4 * i));
  return Buffer.concat([head, bytes]);
};

/** Images of two brightnesses and their labels: learned in a few steps. */
const data = join(dir, 'data');
mkdirSync(data);
for (const [name, n] of [
  ['train', 256],
  ['t10k', 64],
] as const) {
  const labels = Uint8Array.from({ length: n }, (_, i) => i % 2);
  const images = Uint8Array.from(
    { length: n * 784 },
    (_, i) => ((Math.floor(i / 784) % 2) * 150 + ((i * 7919) % 80)) & 255,
  );
  writeFileSync(join(data, `${name}-images-idx3-ubyte`), idx([n, 28, 28], images));
  writeFileSync(join(data, `${name}-labels-idx1-ubyte`), idx([n], labels));
}
const tiny = (out: string): string[] => [
  'prune',
  '--data-dir',
  data,
  '--width',
  '4',
  '--batch-size',
  '32',
  '--dense-steps',
  '6',
  '--prune-steps',
  '8',
  '--out',
  join(dir, out),
  '--seed',
  '1',
];

t.test('prune trains, prunes, reports and writes what it says', (t) => {
  const r = secateur(...tiny('a'), '--json');
  t.equal(r.status, 0, r.stderr);
  const report = JSON.parse(r.stdout) as ReportData;
  t.equal(report.sparsity.asked, 0.9);
  t.equal(report.settings['mask in the optimizer step'], 'yes');
  const total = report.layers.reduce((n, l) => n + l.parameters, 0);
  const live = report.layers.reduce((n, l) => n + l.nonzeros, 0);
  t.equal(total - live, Math.floor(0.9 * total + 1e-6), 'the target is met to the weight');
  t.equal(report.curves.steps.length, 15);
  t.ok((report.macs.pruned as number) < (report.macs.dense as number));
  for (const f of [
    'dense.safetensors',
    'pruned.safetensors',
    'report.html',
    'report.json',
    'train.jsonl',
    'tensorboard',
  ])
    t.ok(existsSync(join(dir, 'a', f)), f);
  const file = SafetensorsFile.open(join(dir, 'a', 'pruned.safetensors'));
  const weight = report.layers[1] as ReportData['layers'][number];
  const raw = file.array(weight.name);
  t.equal(toFloat32(raw).filter((x) => x !== 0).length, weight.nonzeros, 'the file holds the zeros');
  t.equal(raw.shape[2], 3, 'in PyTorch’s order');
  file.close();
  const page = readFileSync(join(dir, 'a', 'report.html'), 'utf8');
  t.notOk(/<(script|img|iframe|link)[^>]+(src|href)=/.test(page), 'the report loads nothing from elsewhere');
  t.match(r.stderr, /device: cpu/);
  t.end();
});

t.test('the same seed gives the same network, whatever is printed', (t) => {
  const r = secateur(...tiny('b'));
  t.equal(r.status, 0, r.stderr);
  t.match(r.stdout, /test accuracy.*%/);
  t.match(r.stdout, /layer\s+weights\s+nonzeros\s+sparsity/);
  t.ok(readFileSync(join(dir, 'a', 'pruned.safetensors')).equals(readFileSync(join(dir, 'b', 'pruned.safetensors'))));
  t.end();
});

t.test('every flag does something', (t) => {
  const report = (...flags: string[]): ReportData => {
    const r = secateur(...tiny('flags'), '--json', ...flags);
    t.equal(r.status, 0, `${flags.join(' ')}: ${r.stderr}`);
    return JSON.parse(r.stdout) as ReportData;
  };
  const base = report();
  const differs = (other: ReportData): boolean =>
    JSON.stringify(other.curves.loss) !== JSON.stringify(base.curves.loss);
  t.equal(report('--sparsity', '0.5').sparsity.asked, 0.5);
  t.equal(report('--model', 'resnet18').settings['model'], 'resnet18');
  t.ok((report('--width', '6').parameters.all as number) > base.parameters.all);
  for (const flags of [
    ['--tau', '0.1'],
    ['--lr', '0.01'],
    ['--weight-decay', '0.1'],
    ['--label-smoothing', '0.3'],
    ['--seed', '2'],
    ['--train-limit', '64'],
    ['--bf16'],
    ['--allocation', 'uniform'],
    ['--allocation', 'erk'],
    ['--finetune-steps', '3'],
  ]) {
    t.ok(differs(report(...flags)), flags.join(' '));
  }
  t.equal(report('--test-limit', '10').settings['test images'], 10);
  t.equal(report('--batch-size', '16').batchSize, 16);
  t.equal(report('--dense-steps', '3').settings['dense steps'], 3);
  t.equal(report('--prune-steps', '5').settings['pruning steps'], 5);
  t.equal(
    report('--threads', '1', '--device', 'cpu', '--method', 'pdp', '--data', 'fashion-mnist').curves.loss.length,
    base.curves.loss.length,
  );
  const config = join(dir, 'config.json');
  writeFileSync(config, JSON.stringify({ sparsity: 0.7, tau: 0.1 }));
  t.equal(report('--config', config).sparsity.asked, 0.7);
  t.equal(report('--config', config, '--sparsity', '0.6').sparsity.asked, 0.6, 'flags win');
  t.end();
});

t.test('wrong usage is exit 2 and says what is right', (t) => {
  for (const [args, says] of [
    [['--sparsity', '1'], /0 <= sparsity < 1/],
    [['--sparsity', 'much'], /0 <= sparsity < 1/],
    [['--spasity', '0.5'], /Did you mean --sparsity/],
    [['--model', 'vgg'], /resnet20, resnet18/],
    [['--batch-size', '0'], /at least 1/],
    // A checkpoint could not hold it, and an interrupted run not go on.
    [['--seed', '1e30'], /whole number/],
    [['--seed', ''], /whole number/],
    [['--threads', '100000'], /1 to 1024/],
    [['--tau', 'Infinity'], /above 0/],
    // Known before anything is trained.
    [['--sparsity', '0.999999'], /cannot be met.*at most 0\.99/],
    [['--finetune-steps', '8'], /gets to 0\.0 % of the target/],
    [['--config', '/nonexistent.json'], /nonexistent/],
  ] as const) {
    const r = secateur(...tiny('wrong'), ...args);
    t.equal(r.status, 2, args.join(' '));
    t.match(r.stderr, says);
  }
  const config = join(dir, 'bad.json');
  for (const [text, says] of [
    ['{"sparsity": 7}', /sparsity is 7/],
    ['{"sparcity": 0.5}', /Did you mean 'sparsity'/],
    ['[]', /needs an object/],
    ['{', /JSON/],
    ['{"full": "yes"}', /true or false/],
  ] as const) {
    writeFileSync(config, text);
    const r = secateur(...tiny('wrong'), '--config', config);
    t.equal(r.status, 2, text);
    t.match(r.stderr, says);
  }
  t.equal(secateur('prun').status, 2);
  t.equal(secateur('--help').status, 0);
  t.match(secateur('prune', '--help').stdout, /--sparsity.*Exit codes: 0 ok/s);
  t.match(secateur('--version').stdout, /^\d+\.\d+\.\d+\n$/);
  t.end();
});

t.test('missing and damaged data are one sentence', (t) => {
  const none = secateur('prune', '--data-dir', join(dir, 'nothing'), '--out', join(dir, 'none'));
  t.equal(none.status, 1);
  t.match(none.stderr, /train-images-idx3-ubyte.*ERR_DATA/s);
  t.notMatch(none.stderr, /at .*\.js:/, 'no stack trace');
  t.end();
});

t.test('an output folder that cannot be is one sentence', (t) => {
  const file = join(dir, 'plain-file');
  writeFileSync(file, '');
  for (const out of [join(dir, 'plain-file'), join(dir, 'plain-file/below'), '/proc/nothing/here']) {
    const r = secateur(...tiny('none'), '--out', out);
    t.equal(r.status, 1);
    t.match(r.stderr, /secateur: --out .*ERR_IO/s);
    t.notMatch(r.stderr, /at .*\.js:/, 'no stack trace');
  }
  const config = join(dir, 'number.json');
  writeFileSync(config, JSON.stringify({ dataDir: 5 }));
  t.match(secateur('prune', '--config', config, '--out', join(dir, 'none')).stderr, /ERR_DATA/, 'a number is a name');
  t.end();
});

t.test('an interrupted run exits 130 and resumes to the same bits', async (t) => {
  const args = (out: string): string[] => [
    'prune',
    '--data-dir',
    data,
    '--width',
    '4',
    '--batch-size',
    '32',
    '--dense-steps',
    '6',
    '--prune-steps',
    '60',
    '--out',
    join(dir, out),
    '--seed',
    '3',
  ];
  t.equal(secateur(...args('whole')).status, 0);
  const log = join(dir, 'cut', 'train.jsonl');
  const child = spawn(process.execPath, [program, ...args('cut')], { stdio: 'ignore' });
  const ended = new Promise<number | null>((done) => child.on('exit', done));
  while (!existsSync(log) || !readFileSync(log, 'utf8').includes('"prune"')) {
    if (child.exitCode !== null) break;
    await new Promise((r) => setTimeout(r, 5));
  }
  child.kill('SIGINT');
  t.equal(await ended, 130);
  t.ok(existsSync(join(dir, 'cut', 'prune.checkpoint.safetensors')), readdirSync(join(dir, 'cut')).join(' '));
  const other = secateur(...args('cut'), '--resume', '--tau', '0.5');
  t.equal(other.status, 1);
  t.match(other.stderr, /had tau 0.0001, now it is 0.5/);
  const rest = secateur(...args('cut'), '--resume');
  t.equal(rest.status, 0, rest.stderr);
  t.ok(
    readFileSync(join(dir, 'whole', 'pruned.safetensors')).equals(readFileSync(join(dir, 'cut', 'pruned.safetensors'))),
    'bit for bit',
  );
  t.match(secateur(...args('never'), '--resume').stderr, /holds no run/);

  const killed = spawn(process.execPath, [program, ...args('killed')], { stdio: 'ignore' });
  const gone = new Promise((done) => killed.on('exit', done));
  while (!existsSync(join(dir, 'killed', 'prune.checkpoint.safetensors')) && killed.exitCode === null)
    await new Promise((r) => setTimeout(r, 5));
  killed.kill('SIGKILL');
  await gone;
  const again = secateur(...args('killed'), '--resume');
  t.equal(again.status, 0, again.stderr);
  const firsts = readFileSync(join(dir, 'killed', 'train.jsonl'), 'utf8').match(/"stage":"prune","step":0,/g);
  t.equal(firsts?.length, 1, 'it went on from an epoch, and did not start again');
  t.ok(
    readFileSync(join(dir, 'whole', 'pruned.safetensors')).equals(
      readFileSync(join(dir, 'killed', 'pruned.safetensors')),
    ),
    'a killed run too, bit for bit',
  );
  for (const name of ['dense.json', 'options.json']) {
    writeFileSync(join(dir, 'killed', name), '{"torn');
    const r = secateur(...args('killed'), '--resume');
    t.equal(r.status, 1);
    t.match(r.stderr, /^secateur: --resume: .*is damaged.*ERR_CHECKPOINT/m, name);
  }
});

t.test('doctor says what is there', (t) => {
  const r = secateur('doctor', '--json');
  const findings = JSON.parse(r.stdout) as { name: string; ok: boolean }[];
  t.ok(findings.find((f) => f.name === 'native part')?.ok);
  t.match(secateur('doctor').stdout, /cpu kernels/);
  const broken = spawnSync(process.execPath, [program, 'doctor'], {
    encoding: 'utf8',
    env: { ...process.env, SECATEUR_ADDON: '/nonexistent/secateur.node' },
  });
  t.equal(broken.status, 1);
  t.match(broken.stdout, /missing\s+native part.*mend: npm rebuild secateur/s);
  t.end();
});
