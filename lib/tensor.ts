// Gives Tensor its methods: every function of lib/ops whose first argument is a tensor, by the same name, and what
// layers below cannot know (backward, to).
import { type BackwardOptions, backward } from './autograd/tape.js';
import { toDevice } from './core/create.js';
import type { Device } from './core/device.js';
import type { DType } from './core/dtype.js';
import { Tensor } from './core/tensor.js';
import * as ops from './ops/index.js';

type Ops = typeof ops;
// By name, not by "is a function": that test would need the type it is defining.
type MethodName<K> = K extends `${string}Op` | `${string}Thunk` ? never : K;
type Method<F> = F extends (x: Tensor, ...rest: infer R) => infer Out ? (...rest: R) => Out : never;
type OpMethods = { [K in keyof Ops as MethodName<K>]: Method<Ops[K]> };

declare module './core/tensor.js' {
  interface Tensor<D> extends OpMethods {
    /** Runs the tape backward from this tensor: leaves get their `grad`. */
    backward(options?: BackwardOptions): void;
    // Written out: a derived method loses its type parameter.
    /** The same values in another dtype, rounded or cut off to what it holds; itself when it has that dtype already. */
    cast<E extends DType>(dtype: E): Tensor<E>;
    /** This tensor's values on another device; itself when it is there already. */
    to(device: Device): Tensor<D>;
  }
}

for (const [name, fn] of Object.entries(ops)) {
  if (typeof fn !== 'function' || name.endsWith('Thunk')) continue;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      return (fn as (...args: unknown[]) => unknown)(this, ...rest);
    },
    configurable: true,
    writable: true,
  });
}
Object.defineProperty(Tensor.prototype, 'backward', {
  value(this: Tensor, options?: BackwardOptions) {
    backward(this, options);
  },
});
Object.defineProperty(Tensor.prototype, 'to', {
  value(this: Tensor, device: Device) {
    return toDevice(this, device);
  },
});

export { Tensor };
