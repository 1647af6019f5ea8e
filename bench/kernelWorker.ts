// One piece of the kernel bench in a process of its own: `kernelWorker WORK CALLS` makes that many calls (the simulated
// GPU writes what they did when the process ends), `kernelWorker WORK time|peer SCALE ROUNDS` answers with the
// microseconds of one call of the work or of its peer, `kernelWorker step MODEL MODE CALLS` makes training steps.
import { synchronize, scope, manualSeed, randn, tensor, crossEntropy } from '../lib/index.js';
import { SGD } from '../lib/optim/index.js';
import { resnet18, resnet20, resnet50 } from '../src/models/index.js';
import { work } from './kernelWork.js';
import { pruneEveryStep } from './prunedStep.js';
import { timeCall } from './timeCall.js';

manualSeed(0);
const [what = '', ...rest] = process.argv.slice(2);

if (what === 'step') {
  const [name = '', mode = '', calls = ''] = rest;
  const build = { resnet18: () => resnet18({ numClasses: 10, stem: 'small' }), resnet20, resnet50 }[name];
  if (build === undefined) throw new Error(`no model is called ${name}`);
  const model = build();
  model.to('cuda');
  const x = randn([2, 32, 32, 3], { device: 'cuda' });
  const y = tensor([0, 1], { dtype: 'i32', device: 'cuda' });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 });
  const beforeStep = mode === 'pdp' ? pruneEveryStep(model) : () => undefined;
  for (let i = 0; i < Number(calls); i++) {
    beforeStep();
    optimizer.zeroGrad();
    scope(() => {
      crossEntropy(model.forward(x), y).backward();
      optimizer.step();
    });
  }
  synchronize('cuda');
} else {
  const one = work.find((w) => w.name === what);
  if (one === undefined) throw new Error(`no work is called ${what}`);
  const [how = '', scale = '', rounds = ''] = rest;
  if (how === 'time' || how === 'peer') {
    const make = how === 'time' ? one.make : one.peer?.make;
    if (make === undefined) throw new Error(`${what} has no peer`);
    console.log(JSON.stringify({ microseconds: timeCall(make(Number(scale)), Number(rounds)) }));
  } else {
    const call = one.make(1);
    for (let i = 0; i < Number(how); i++) scope(call);
    synchronize('cuda');
  }
}
