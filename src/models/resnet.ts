// Deep residual learning for image recognition. He, Zhang, Ren and Sun, CVPR 2016.
//
// ResNet-18 and -50 as in torchvision: its state-dict keys, the stride of a bottleneck on its 3x3 convolution (sections
// 3.4 and 4.1), and the ResNet-20 of section 4.2 for small images, with identity shortcuts that drop pixels and pad
// channels with zeros (option A).
//
// Each forward pass is a scope: what the tape saved is then freed as backward passes it, everything else at once.
import { SecateurError, checkOptions } from '../../lib/core/errors.js';
import { scope } from '../../lib/core/lifetime.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { Conv2d } from '../../lib/nn/conv.js';
import { kaimingNormal } from '../../lib/nn/init.js';
import { Sequential } from '../../lib/nn/layers.js';
import { Linear } from '../../lib/nn/linear.js';
import { Module } from '../../lib/nn/module.js';
import { BatchNorm2d } from '../../lib/nn/norm.js';
import { globalAvgPool2d } from '../../lib/ops/avgPool.js';
import { maxPool2d } from '../../lib/ops/maxPool.js';
import { pad } from '../../lib/ops/pad.js';
import { slice } from '../../lib/ops/slice.js';

const conv = (i: number, o: number, size: number, stride = 1): Conv2d =>
  new Conv2d(i, o, size, { stride, padding: (size - 1) / 2, bias: false });

/** Two 3x3 convolutions and a shortcut (figure 5, left). */
class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | undefined;

  constructor(inChannels: number, width: number, stride: number, downsample?: Sequential) {
    super();
    this.conv1 = conv(inChannels, width, 3, stride);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv(width, width, 3);
    this.bn2 = new BatchNorm2d(width);
    this.downsample = downsample;
  }

  override forward(x: Tensor): Tensor {
    return scope(() => {
      const shortcut = this.downsample?.forward(x) ?? x;
      const y = this.bn1.forwardRelu(this.conv1.forward(x));
      return this.bn2.forwardRelu(this.conv2.forward(y), shortcut);
    });
  }
}

/** 1x1, 3x3 and 1x1 convolutions and a shortcut (figure 5, right). */
class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | undefined;

  constructor(inChannels: number, width: number, stride: number, downsample?: Sequential) {
    super();
    this.conv1 = conv(inChannels, width, 1);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv(width, width, 3, stride);
    this.bn2 = new BatchNorm2d(width);
    this.conv3 = conv(width, width * Bottleneck.expansion, 1);
    this.bn3 = new BatchNorm2d(width * Bottleneck.expansion);
    this.downsample = downsample;
  }

  override forward(x: Tensor): Tensor {
    return scope(() => {
      const shortcut = this.downsample?.forward(x) ?? x;
      let y = this.bn1.forwardRelu(this.conv1.forward(x));
      y = this.bn2.forwardRelu(this.conv2.forward(y));
      return this.bn3.forwardRelu(this.conv3.forward(y), shortcut);
    });
  }
}

export interface ResNetOptions {
  /** Classes of the last layer (default 1000). */
  numClasses?: number;
  /** Colour channels of the images (default 3). */
  inChannels?: number;
  /** Channels of the first stage, doubled at each following one (default 64). */
  baseWidth?: number;
  /** `imagenet`: 7x7 with stride 2 and a pool; `small`: one 3x3, for images of about 32 pixels (default imagenet). */
  stem?: 'imagenet' | 'small';
}

/** Images `[N, H, W, inChannels]` to logits `[N, numClasses]`. */
class ResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly fc: Linear;
  readonly stem: 'imagenet' | 'small';

  constructor(
    Block: typeof BasicBlock | typeof Bottleneck,
    blocks: readonly [number, number, number, number],
    options: ResNetOptions,
  ) {
    super();
    checkOptions('ResNet', options, ['numClasses', 'inChannels', 'baseWidth', 'stem']);
    const width = options.baseWidth ?? 64;
    if (!Number.isInteger(width) || width < 1)
      throw new SecateurError('ERR_ARGUMENT', `ResNet: baseWidth is ${width}; needs a whole number of at least 1.`);
    this.stem = options.stem ?? 'imagenet';
    if (this.stem !== 'imagenet' && this.stem !== 'small') {
      throw new SecateurError('ERR_ARGUMENT', `ResNet: stem is '${String(this.stem)}'; needs 'imagenet' or 'small'.`);
    }
    const inChannels = options.inChannels ?? 3;
    this.conv1 = this.stem === 'imagenet' ? conv(inChannels, width, 7, 2) : conv(inChannels, width, 3);
    this.bn1 = new BatchNorm2d(width);
    let channels = width;
    const stage = (index: 0 | 1 | 2 | 3): Sequential => {
      const own = width * 2 ** index;
      const out = own * Block.expansion;
      const layers = Array.from({ length: blocks[index] }, (_, i) => {
        const stride = i === 0 && index > 0 ? 2 : 1;
        const project =
          stride !== 1 || channels !== out
            ? new Sequential(conv(channels, out, 1, stride), new BatchNorm2d(out))
            : undefined;
        const block = new Block(channels, own, stride, project);
        channels = out;
        return block;
      });
      return new Sequential(...layers);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.fc = new Linear(channels, options.numClasses ?? 1000);
    initialise(this);
  }

  override forward(x: Tensor): Tensor {
    return scope(() => {
      let y = this.bn1.forwardRelu(this.conv1.forward(x));
      if (this.stem === 'imagenet') y = maxPool2d(y, 3, { stride: 2, padding: 1 });
      for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) y = stage.forward(y);
      return this.fc.forward(globalAvgPool2d(y));
    });
  }
}

/** Convolutions start as in torchvision: normal, scaled by the fan out. */
function initialise(model: Module): void {
  for (const [, m] of model.namedModules()) {
    if (!(m instanceof Conv2d)) continue;
    const values = kaimingNormal(m.weight.shape, 'fanOut');
    m.weight.rebase(values.cell.retain());
    values.dispose();
  }
}

/** ResNet-18: 11.7 million parameters at 1000 classes. */
export function resnet18(options: ResNetOptions = {}): Module {
  return new ResNet(BasicBlock, [2, 2, 2, 2], options);
}

/** ResNet-50: 25.6 million parameters at 1000 classes. */
export function resnet50(options: ResNetOptions = {}): Module {
  return new ResNet(Bottleneck, [3, 4, 6, 3], options);
}

/** A basic block whose shortcut, where the size changes, takes every second pixel and pads the channels with zeros. */
class PlainBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly #stride: number;
  readonly #extra: number;

  constructor(inChannels: number, width: number, stride: number) {
    super();
    this.conv1 = conv(inChannels, width, 3, stride);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv(width, width, 3);
    this.bn2 = new BatchNorm2d(width);
    this.#stride = stride;
    this.#extra = width - inChannels;
  }

  #shortcut(x: Tensor): Tensor {
    if (this.#stride === 1 && this.#extra === 0) return x;
    const thinned = this.#stride === 1 ? x : slice(x, [0, 0, 0, 0], [...x.shape], [1, this.#stride, this.#stride, 1]);
    const before = Math.floor(this.#extra / 2);
    return pad(thinned, [
      [0, 0],
      [0, 0],
      [0, 0],
      [before, this.#extra - before],
    ]);
  }

  override forward(x: Tensor): Tensor {
    return scope(() => {
      const y = this.bn1.forwardRelu(this.conv1.forward(x));
      return this.bn2.forwardRelu(this.conv2.forward(y), this.#shortcut(x));
    });
  }
}

export interface SmallResNetOptions {
  /** Classes of the last layer (default 10). */
  numClasses?: number;
  inChannels?: number;
  /** Channels of the first of the three stages (default 16). */
  baseWidth?: number;
}

/** The ResNet of section 4.2: 6n + 2 layers in three stages of n blocks. */
class SmallResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly fc: Linear;

  constructor(blocks: number, options: SmallResNetOptions) {
    super();
    checkOptions('ResNet', options, ['numClasses', 'inChannels', 'baseWidth']);
    const width = options.baseWidth ?? 16;
    this.conv1 = conv(options.inChannels ?? 3, width, 3);
    this.bn1 = new BatchNorm2d(width);
    let channels = width;
    const stage = (index: number): Sequential => {
      const own = width * 2 ** index;
      const layers = Array.from({ length: blocks }, (_, i) => {
        const block = new PlainBlock(channels, own, i === 0 && index > 0 ? 2 : 1);
        channels = own;
        return block;
      });
      return new Sequential(...layers);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.fc = new Linear(channels, options.numClasses ?? 10);
    initialise(this);
  }

  override forward(x: Tensor): Tensor {
    return scope(() => {
      let y = this.bn1.forwardRelu(this.conv1.forward(x));
      for (const stage of [this.layer1, this.layer2, this.layer3]) y = stage.forward(y);
      return this.fc.forward(globalAvgPool2d(y));
    });
  }
}

/** ResNet-20 for small images: 0.27 million parameters. */
export function resnet20(options: SmallResNetOptions = {}): Module {
  return new SmallResNet(3, options);
}
