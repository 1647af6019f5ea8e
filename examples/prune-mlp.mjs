// Prunes a small perceptron on Fashion-MNIST while it trains, checks the zeros, saves and loads it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crossEntropy, manualSeed } from 'secateur';
import { ImageLoader, loadFashionMnist } from 'secateur/data';
import { SafetensorsFile, fromFile, toFile, writeSafetensors } from 'secateur/io';
import { Flatten, Linear, ReLU, Sequential } from 'secateur/nn';
import { SGD, oneCycleLr } from 'secateur/optim';
import { PDP, sparsityReport } from 'secateur/pdp';
import { Trainer, evaluate, prunableSites } from 'secateur/train';

manualSeed(0);
const { train, test } = loadFashionMnist();
const data = new ImageLoader(train, { batchSize: 128, shuffle: true, dropLast: true, limit: 20_000 });
const model = new Sequential(new Flatten(), new Linear(784, 256), new ReLU(), new Linear(256, 10));
console.log(model);

const steps = 400;
const trainer = new Trainer({
  model,
  optimizer: new SGD(model.namedParameters(), { lr: 0.05, momentum: 0.9 }),
  schedule: oneCycleLr({ total: steps }),
  loss: (logits, labels) => crossEntropy(logits, labels),
  data,
  steps,
  pruner: new PDP({ sparsity: 0.9, warmup: 100 }),
});
await trainer.run();
trainer.finish();

const { accuracy } = await evaluate(
  model,
  new ImageLoader(test, { batchSize: 500, normalize: data.normalize }).epoch(0),
  (logits, labels) => crossEntropy(logits, labels),
);
const { prunable } = sparsityReport(model, prunableSites(model), [28, 28, 1]);
console.log(
  `test accuracy ${(accuracy * 100).toFixed(1)} %, ${prunable.nonzeros} of ${prunable.parameters} weights left`,
);
// The file has PyTorch's names, and reads into a model built in the same way.
const folder = mkdtempSync(join(tmpdir(), 'prune-mlp-'));
const path = join(folder, 'pruned.safetensors');
writeSafetensors(path, toFile(model.namedState()));
const loaded = new Sequential(new Flatten(), new Linear(784, 256), new ReLU(), new Linear(256, 10));
const file = SafetensorsFile.open(path);
loaded.loadStateDict(fromFile(file, loaded.namedState()));
file.close();
rmSync(folder, { recursive: true });
const kept = sparsityReport(loaded, prunableSites(loaded), [28, 28, 1]).prunable.nonzeros;
if (kept !== prunable.nonzeros) throw new Error('the file holds other weights');

if (accuracy < 0.75 || prunable.nonzeros !== 20327) throw new Error('the pruned perceptron is worse than it should be');
