// What the trainer asks of its data.
import t from 'tap';
import { mseLoss } from '../../lib/index.js';
import { Linear } from '../../lib/nn/index.js';
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
