// What the trainer asks of its data, and what it leaves alone.
import t from 'tap';
import { mseLoss, ones, zeros } from '../../lib/index.js';
import { Linear, Sequential } from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import { Trainer } from '../../lib/train/index.js';

t.test('data that gives no batch is refused, not waited for', async (t) => {
  const model = new Linear(4, 2);
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters()),
    loss: mseLoss,
    data: { length: 2, epoch: () => [] },
    steps: 1,
  });
  await t.rejects(trainer.run(), { code: 'ERR_DATA', message: /epoch 0 of the data gave no batch from batch 0 on/ });
});

t.test('a frozen parameter stays as it is', async (t) => {
  const model = new Sequential(new Linear(4, 3), new Linear(3, 2));
  const [frozen, bias, free] = model.parameters().map((p) => [...p.data()]);
  for (const p of model.parameters().slice(0, 2)) p.requiresGrad = false;
  const batch = () => ({ input: ones([5, 4]), target: zeros([5, 2]) });
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters(), { lr: 0.1, weightDecay: 0.1 }),
    loss: mseLoss,
    data: { length: 2, epoch: () => [batch(), batch()] },
    steps: 4,
  });
  await trainer.run();
  const [after, biasAfter, freeAfter] = model.parameters().map((p) => [...p.data()]);
  t.strictSame([after, biasAfter], [frozen, bias]);
  t.notSame(freeAfter, free);
  t.strictSame(
    model.parameters().map((p) => p.requiresGrad),
    [false, false, true, true],
  );
});
