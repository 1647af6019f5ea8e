import { checkOptions } from '../core/errors.js';
import { SecateurError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { conv2d, conv2dRelu } from '../ops/conv2d.js';
import { kaimingUniform, uniform } from './init.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** A number for both directions, or `[height, width]`. */
export type Pair = number | readonly [number, number];

export interface Conv2dOptions {
  /** Pixels from one window to the next (default 1). */
  stride?: Pair;
  /** Rows and columns of zeros on each side (default 0). */
  padding?: Pair;
  /** Pixels from one tap of the kernel to the next (default 1). */
  dilation?: Pair;
  /** Groups of channels that do not see each other (default 1). */
  groups?: number;
  /** Whether there is a bias (default true). */
  bias?: boolean;
  /** What follows, computed in the same pass (default 'none'). */
  activation?: 'none' | 'relu';
}

const pair = (p: Pair): readonly [number, number] => (typeof p === 'number' ? [p, p] : p);

// Our weights are [O, kh, kw, I], files hold PyTorch's [O, I, kh, kw].
const fileAxes = [0, 3, 1, 2];

/** 2-D convolution (cross-correlation) of images `[N, H, W, inChannels]`; the weight is `[O, kh, kw, I / groups]`. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly options: Readonly<Required<Omit<Conv2dOptions, 'bias' | 'activation'>>>;
  readonly activation: 'none' | 'relu';

  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: Conv2dOptions = {}) {
    super();
    checkOptions('Conv2d', options, ['stride', 'padding', 'dilation', 'groups', 'bias', 'activation']);
    const groups = options.groups ?? 1;
    if (!(groups >= 1) || inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `Conv2d: ${inChannels} and ${outChannels} channels do not divide into ${groups} groups.`,
      );
    }
    const activation = options.activation ?? 'none';
    if (!['none', 'relu'].includes(activation))
      throw new SecateurError('ERR_ARGUMENT', `Conv2d: activation is ${String(activation)}; use none or relu.`, {
        activation,
      });
    this.activation = activation;
    const [kh, kw] = pair(kernelSize);
    const shape = [outChannels, kh, kw, inChannels / groups];
    this.options = {
      stride: options.stride ?? 1,
      padding: options.padding ?? 0,
      dilation: options.dilation ?? 1,
      groups,
    };
    this.weight = new Parameter(kaimingUniform(shape), fileAxes);
    this.bias =
      options.bias === false
        ? undefined
        : new Parameter(uniform([outChannels], 1 / Math.sqrt(kh * kw * (inChannels / groups))));
  }

  override forward(x: Tensor): Tensor {
    const convolve = this.activation === 'relu' ? conv2dRelu : conv2d;
    return convolve(x, this.weight.effective(), this.bias, this.options);
  }

  override describe(): string {
    const [o, kh, kw, i] = this.weight.shape as readonly [number, number, number, number];
    const { stride, padding, dilation, groups } = this.options;
    const extra = [
      `stride: ${String(stride)}`,
      `padding: ${String(padding)}`,
      ...(dilation === 1 ? [] : [`dilation: ${String(dilation)}`]),
      ...(groups === 1 ? [] : [`groups: ${groups}`]),
      ...(this.bias === undefined ? ['bias: false'] : []),
      ...(this.activation === 'none' ? [] : [`activation: ${this.activation}`]),
    ];
    return `${i * groups}, ${o}, ${kh}x${kw}, ${extra.join(', ')}`;
  }
}
