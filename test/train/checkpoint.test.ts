// Checkpoints of a run: when they are written, and what goes on from them.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SecateurError, type Tensor, manualSeed, mseLoss, tensor } from '../../lib/index.js';
import { Linear, type Module, ReLU, Sequential } from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import { type Batch, Trainer, type TrainerOptions } from '../../lib/train/index.js';

const dir = mkdtempSync(join(tmpdir(), 'secateur-checkpoint-'));
t.teardown(() => {
  rmSync(dir, { recursive: true });
});

// The same four batches in every epoch.
const data = {
  length: 4,
  *epoch(_epoch: number, start = 0): Generator<Batch> {
    for (let i = start; i < 4; i++) {
      const x = Float32Array.from({ length: 12 }, (_, j) => Math.sin(i * 12 + j));
      const y = Float32Array.from({ length: 6 }, (_, j) => Math.cos(i + j));
      yield { input: tensor(x, { shape: [3, 4] }), target: tensor(y, { shape: [3, 2] }) };
    }
  },
};

interface Run {
  readonly model: Module;
  readonly trainer: Trainer;
  readonly losses: number[];
}

function prepare(steps: number, extra: Partial<TrainerOptions> = {}): Run {
  manualSeed(3);
  const model = new Sequential(new Linear(4, 6), new ReLU(), new Linear(6, 2));
  const losses: number[] = [];
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 }),
    loss: (y, target) => mseLoss(y, target),
    data,
    steps,
    onStep: (r) => losses.push(r.loss),
    ...extra,
  });
  return { model, trainer, losses };
}

const weights = ({ model }: Run): number[] => model.parameters().flatMap((p: Tensor) => [...p.data()]);

t.test('a loss that is not finite stops training; the checkpoint before it stays', async (t) => {
  const path = join(dir, 'nan.safetensors');
  const failing = async (at: number): Promise<SecateurError | undefined> => {
    let step = 0;
    const loss = (y: Tensor, target: Tensor): Tensor => mseLoss(y, target).mul(step++ === at ? NaN : 1);
    const { trainer } = prepare(8, { checkpoint: path, checkpointEvery: 3, loss });
    return trainer.run().then(
      () => undefined,
      (e: unknown) => e as SecateurError,
    );
  };
  const first = await failing(0);
  t.equal(first?.code, 'ERR_NOT_FINITE');
  t.match(first?.message, /step 0.*learning rate 0\.1/);
  t.notOk(existsSync(path), 'nothing worth saving');
  t.match((await failing(5))?.message, /nan\.safetensors holds the state after 3 steps/);
  const rest = prepare(8);
  rest.trainer.resume(path);
  await rest.trainer.run();
  t.equal(rest.losses.length, 5);
  t.ok(rest.losses.every(Number.isFinite), 'and it goes on from there');
});

t.test('a checkpoint every epoch, or as often as it is asked for; a killed run goes on from it', async (t) => {
  const path = join(dir, 'every.safetensors');
  const whole = prepare(12);
  await whole.trainer.run();
  for (const [every, last] of [
    [undefined, 8],
    [5, 10],
  ] as const) {
    const run = prepare(12, {
      checkpoint: path,
      ...(every === undefined ? {} : { checkpointEvery: every }),
    });
    await run.trainer.run();
    const rest = prepare(12);
    rest.trainer.resume(path);
    await rest.trainer.run();
    t.strictSame(rest.losses, whole.losses.slice(last), `the state after ${last} of 12 steps`);
    t.strictSame(weights(rest), weights(whole), 'bit for bit');
  }
  t.throws(() => prepare(4, { checkpointEvery: 0.5 }), { code: 'ERR_ARGUMENT', message: /checkpointEvery/ });
});

t.test('a checkpoint that is damaged, or of another run, is refused and changes nothing', async (t) => {
  const path = join(dir, 'whole.safetensors');
  const wrong = join(dir, 'wrong.safetensors');
  const run = prepare(4);
  await run.trainer.run();
  run.trainer.save(path);
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));

  const fresh = prepare(4);
  const untouched = weights(fresh);
  const others = new Trainer({
    model: fresh.model,
    optimizer: new SGD(fresh.model.parameters(), { lr: 0.1 }),
    loss: mseLoss,
    data,
    steps: 4,
  });
  t.throws(() => others.resume(path), { code: 'ERR_CHECKPOINT', message: /need other state/ });
  t.strictSame(weights(fresh), untouched, 'the model neither');

  let refused = 0;
  const attempt = (content: Buffer): void => {
    writeFileSync(wrong, content);
    try {
      fresh.trainer.resume(wrong);
      fresh.trainer.resume(path); // a flipped bit of a number is a number
    } catch (error) {
      refused++;
      if (!(error instanceof SecateurError)) t.fail(`${String(error)} (${content.length} bytes)`);
    }
  };
  for (let length = 0; length < bytes.length; length += 37) attempt(bytes.subarray(0, length));
  const cut = refused;
  t.equal(cut, Math.ceil(bytes.length / 37), 'every cut is refused');
  let state = 12345;
  const random = (n: number): number => (state = (state * 1103515245 + 12345) % 2147483648) % n;
  for (let i = 0; i < 400; i++) {
    const flipped = Buffer.from(bytes);
    const at = random(8 + headerBytes);
    flipped[at] = (flipped[at] as number) ^ (1 << random(8));
    attempt(flipped);
  }
  t.ok(refused > cut + 200, `${refused - cut} of 400 flipped bits in the header are refused`);
});
