// One side of the step bench, in a process of its own: builds a model, then runs a training step for each line it
// reads and answers with the milliseconds it took. The peer speaks the same protocol.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { autocast } from '../lib/autograd/autocast.js';
import { crossEntropy, manualSeed, memory, randn, scope, synchronize, tensor } from '../lib/index.js';
import { SGD } from '../lib/optim/index.js';
import { resnet18, resnet20 } from '../src/models/index.js';
import { pruneEveryStep } from './prunedStep.js';

interface Setting {
  model: 'resnet18' | 'resnet20';
  dtype: 'f32' | 'bf16';
  mode: 'dense' | 'pdp';
  batch: number;
}

const setting = JSON.parse(process.argv[2] ?? '{}') as Setting;
manualSeed(0);
const model = setting.model === 'resnet18' ? resnet18({ numClasses: 10, stem: 'small' }) : resnet20();
const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 });
const x = randn([setting.batch, 32, 32, 3]);
const y = tensor(Int32Array.from({ length: setting.batch }, (_, i) => i % 10));

const beforeStep = setting.mode === 'pdp' ? pruneEveryStep(model) : () => undefined;

function step(): void {
  beforeStep();
  optimizer.zeroGrad();
  scope(() => {
    const forward = () => crossEntropy(model.forward(x), y);
    const loss = setting.dtype === 'bf16' ? autocast({}, forward) : forward();
    loss.backward();
    optimizer.step();
  });
  synchronize();
}

function resident(field: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
}

synchronize();
const before = resident('VmRSS');
console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'quit') break;
  const reorders = memory.stats().reorders;
  const start = performance.now();
  step();
  const ms = performance.now() - start;
  console.log(JSON.stringify({ ms, reorders: memory.stats().reorders - reorders }));
}
console.log(JSON.stringify({ peakBytes: resident('VmHWM') - before }));
