// Tensors, gradients and memory: fits a line to noisy points by gradient descent.
import { manualSeed, noGrad, randn, scope, tensor } from 'secateur';

manualSeed(1);
const x = randn([200, 1]);
const y = scope(() =>
  x
    .mul(3)
    .add(0.5)
    .add(randn([200, 1]).mul(0.1)),
);
const slope = tensor([[0]], { requiresGrad: true });
const offset = tensor([0], { requiresGrad: true });

for (let step = 0; step < 200; step++) {
  // Everything made in the scope is freed at its end; gradients belong to their parameters.
  scope(() => {
    const error = x.matmul(slope).add(offset).sub(y);
    error.mul(error).mean().backward();
  });
  for (const p of [slope, offset]) {
    noGrad(() => scope(() => p.add_(p.grad.mul(-0.1))));
    p.grad.dispose();
    p.grad = undefined;
  }
}
console.log(`y = ${slope.item().toFixed(2)} x + ${offset.item().toFixed(2)}`);
if (Math.abs(slope.item() - 3) > 0.05 || Math.abs(offset.item() - 0.5) > 0.05) throw new Error('the fit is off');
