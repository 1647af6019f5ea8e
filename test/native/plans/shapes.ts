// The convolutions, attentions and batch norms of the models, as the backend would ask cuDNN for them. Depthwise
// convolutions have own kernels and are not asked for.

export interface Graph {
  readonly name: string;
  readonly model: string;
  readonly dtype: 'f32' | 'bf16';
  readonly pass: 'forward' | 'gradInput' | 'gradWeight' | 'attention' | 'attentionGrad' | 'batchNorm' | 'batchNormGrad';
  /** The key of the shape in native/cuda/vendor/graph.h. */
  readonly key: readonly number[];
}

interface Convolution {
  readonly size: number;
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride: number;
  /** The input is the image, which has no gradient. */
  readonly first?: boolean;
}

const images = 32;
const passes = ['forward', 'gradInput', 'gradWeight'] as const;

function convolutions(model: string, layers: readonly Convolution[]): Graph[] {
  const graphs = new Map<string, Graph>();
  for (const { size, from, to, kernel, stride, first } of layers)
    for (const [direction, pass] of passes.entries())
      for (const [code, dtype] of (['f32', 'bf16'] as const).entries()) {
        if (pass === 'gradInput' && first === true) continue;
        const padding = (kernel - 1) / 2;
        const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
        const name = `${kernel}x${kernel}/${stride}:${from}-${to}@${size}:${pass}:${dtype}`;
        const geometry = [kernel, kernel, 1, stride, stride, padding, padding, 1, 1];
        const key = [direction, code, images, size, size, from, out, out, to, ...geometry, 0, 0, 0];
        graphs.set(name, { name, model, dtype, pass, key });
      }
  return [...graphs.values()];
}

/** ResNet-50 at 224x224 (He et al. 2016, with the stride in the 3x3 convolution as torchvision has it). */
function resnet50(): Graph[] {
  const layers: Convolution[] = [{ size: 224, from: 3, to: 64, kernel: 7, stride: 2, first: true }];
  let [from, size] = [64, 56];
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 << stage;
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 && stage > 0 ? 2 : 1;
      layers.push({ size, from, to: width, kernel: 1, stride: 1 });
      layers.push({ size, from: width, to: width, kernel: 3, stride });
      if (block === 0) layers.push({ size, from, to: 4 * width, kernel: 1, stride });
      size /= stride;
      layers.push({ size, from: width, to: 4 * width, kernel: 1, stride: 1 });
      from = 4 * width;
    }
  }
  return convolutions('ResNet-50', layers);
}

/** MobileNetV1 at 224x224 (Howard et al. 2017): its first convolution and the pointwise ones. */
function mobileNetV1(): Graph[] {
  const layers: Convolution[] = [{ size: 224, from: 3, to: 32, kernel: 3, stride: 2, first: true }];
  let [from, size] = [32, 112];
  const steps = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
  ] as const;
  for (const [to, stride] of [
    ...steps,
    ...Array<readonly [number, number]>(5).fill([512, 1]),
    [1024, 2] as const,
    [1024, 1] as const,
  ]) {
    size /= stride;
    layers.push({ size, from, to, kernel: 1, stride: 1 });
    from = to;
  }
  return convolutions('MobileNetV1', layers);
}

/** Attention of BERT-base, whose sentences are padded, and GPT-2's, which is causal: 12 heads of 64; its gradient. */
function attentions(): Graph[] {
  const [causal, biased] = [2, 4];
  return (
    [
      ['BERT-base', 32, 128, 0],
      ['BERT-base', 32, 128, biased],
      ['BERT-base', 8, 512, biased],
      ['GPT-2', 4, 1024, causal],
      ['GPT-2', 16, 1024, causal],
    ] as const
  ).flatMap(([model, batch, length, kind]) =>
    (['attention', 'attentionGrad'] as const).map((pass, gradient) => ({
      name: `${pass}:${batch}x12x64@${length}${kind === causal ? ':causal' : kind === biased ? ':bias' : ''}`,
      model,
      dtype: 'bf16' as const,
      pass,
      key: [batch, 12, length, length, 64, kind + gradient],
    })),
  );
}

/** The batch norms of ResNet-50 (those of the convolutions above), and their gradients. */
function batchNorms(): Graph[] {
  const sizes: [number, number][] = [[112, 64]];
  for (const stage of [0, 1, 2, 3]) {
    const [size, width] = [56 >> stage, 64 << stage];
    if (stage > 0) sizes.push([2 * size, width]);
    sizes.push([size, width], [size, 4 * width]);
  }
  return sizes.flatMap(([size, channels]) =>
    (['batchNorm', 'batchNormGrad'] as const).flatMap((pass, gradient) =>
      (['f32', 'bf16'] as const).map((dtype, code) => ({
        name: `${pass}:${channels}@${size}:${dtype}`,
        model: 'ResNet-50',
        dtype,
        pass,
        key: [gradient, code, images, size, size, channels, 1],
      })),
    ),
  );
}

/** A convolution with a bias, and with relu after it, as networks without batch norm have them. */
function withBias(): Graph[] {
  const geometry = [images, 28, 28, 64, 28, 28, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1];
  return ['bias', 'bias+relu'].flatMap((model, relu) =>
    (['f32', 'bf16'] as const).map((dtype, code) => ({
      name: `${model}:${dtype}`,
      model,
      dtype,
      pass: 'forward' as const,
      key: [0, code, ...geometry, 1, relu, 0],
    })),
  );
}

export const graphs: readonly Graph[] = [
  ...resnet50(),
  ...mobileNetV1(),
  ...attentions(),
  ...batchNorms(),
  ...withBias(),
];

/** A convolution whose result is declared a pixel too wide. */
export const impossible = {
  name: 'impossible',
  key: [0, 1, images, 28, 28, 64, 28, 29, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
};
