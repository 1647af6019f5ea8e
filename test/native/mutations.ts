// Faults planted in the kernels, each a small change of a real source: what the simulated GPU has to find.

export interface Mutation {
  /** What was done wrong. */
  readonly name: string;
  /** The kernels that are compiled anew, and the op family whose conformance suite is run on them. */
  readonly stem: string;
  /** The source that is changed, below native/cuda, and the change. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Which check must speak up first; `values`: none does, and the results are wrong. */
  readonly caughtBy: Check;
}

/** The simulator's checks, by what their messages say. */
export const checks = {
  'shared race': /race on shared memory/,
  'global race': /race on global memory/,
  uninitialised: /that nobody has written/,
  bounds: /outside (every allocation|the block's)/,
  alignment: /is not aligned/,
  'divergent barrier': /a divergent barrier:|nothing can go on/,
  '_sync mask': /member masks|the mask of|whose mask|does not take part/,
  'asynchronous copy': /that an asynchronous copy has not reached/,
} as const;
export type Check = keyof typeof checks | 'values';

export const mutations: readonly Mutation[] = [
  {
    name: 'barrier dropped before a block reads its partial sums',
    stem: 'pdpWeight',
    file: 'gpu/reduce.cuh',
    from: 'if (lane == 0) shared[warp] = x;\n  __syncthreads();',
    to: 'if (lane == 0) shared[warp] = x;',
    caughtBy: 'uninitialised',
  },
  {
    name: 'second barrier of a scan dropped',
    stem: 'threshold',
    file: 'gpu/select.cuh',
    from: '    s.equal = s.bins[bin];\n  }\n  __syncthreads();',
    to: '    s.equal = s.bins[bin];\n  }',
    caughtBy: 'uninitialised',
  },
  {
    name: 'shared atomic turned into a plain addition',
    stem: 'threshold',
    file: 'gpu/select.cuh',
    from: 'atomicAdd(&s.bins[(key - low) >> shift], 1u);',
    to: 's.bins[(key - low) >> shift] += 1u;',
    caughtBy: 'shared race',
  },
  {
    name: 'global atomic turned into a plain addition',
    stem: 'finite',
    file: 'finite.cu',
    from: 'if (bad > 0) atomicAdd(static_cast<std::uint32_t*>(p.y), bad);',
    to: 'if (bad > 0) *static_cast<std::uint32_t*>(p.y) += bad;',
    caughtBy: 'global race',
  },
  {
    name: 'histogram not zeroed',
    stem: 'threshold',
    file: 'gpu/select.cuh',
    from: 'b += chunkThreads) s.bins[b] = 0;',
    to: 'b += chunkThreads) continue;',
    caughtBy: 'uninitialised',
  },
  {
    name: 'loop runs one too far',
    stem: 'relu',
    file: 'gpu/element.cuh',
    from: 'for (std::int64_t i = packed + threadIndex(); i < n;',
    to: 'for (std::int64_t i = packed + threadIndex(); i <= n;',
    caughtBy: 'bounds',
  },
  {
    name: 'tail loop dropped',
    stem: 'relu',
    file: 'gpu/element.cuh',
    from: 'for (std::int64_t i = packed + threadIndex(); i < n; i += threadTotal()) y[i] = f(x[i]...);',
    to: '',
    caughtBy: 'values',
  },
  {
    name: 'factor lost in a gradient',
    stem: 'pdpWeight',
    file: 'gpu/pdp.cuh',
    from: 'fmaf(steepness, slope(e, m), m)',
    to: 'fmaf(0.5f * steepness, slope(e, m), m)',
    caughtBy: 'values',
  },
  {
    name: 'registers of a fragment swapped',
    stem: 'matmul',
    file: 'gpu/product.cuh',
    from: 'fb[j][0] = two[0];\n        fb[j][1] = two[1];',
    to: 'fb[j][0] = two[1];\n        fb[j][1] = two[0];',
    caughtBy: 'values',
  },
  {
    name: 'row step of B wrong',
    stem: 'matmul',
    file: 'gpu/product.cuh',
    from: '(column + 8 * third + low) * TileB::pitch',
    to: '(column + 4 * third + low) * TileB::pitch',
    caughtBy: 'values',
  },
  {
    name: 'shuffle mask too narrow',
    stem: 'sum',
    file: 'gpu/reduction.cuh',
    from: '__shfl_down_sync(allLanes,',
    to: '__shfl_down_sync(0xffffu,',
    caughtBy: '_sync mask',
  },
  {
    name: 'barrier in a divergent branch',
    stem: 'pdpWeight',
    file: 'gpu/reduce.cuh',
    from: 'if (lane == 0) shared[warp] = x;\n  __syncthreads();',
    to: 'if (lane == 0) {\n    shared[warp] = x;\n    __syncthreads();\n  }\n  __syncthreads();',
    caughtBy: 'divergent barrier',
  },
  {
    name: 'lanes of 2:4 metadata swapped',
    stem: 'sparse24',
    file: 'sparse24.cu',
    from: '(lane() & 1) != 0 ? 0x7632 : 0x5410',
    to: '(lane() & 1) == 0 ? 0x7632 : 0x5410',
    caughtBy: 'values',
  },
  {
    name: 'fence dropped before the ticket of whoever arrives last',
    stem: 'threshold',
    file: 'gpu/ticket.cuh',
    from: '    __threadfence();\n    *shared = atomicAdd',
    to: '    *shared = atomicAdd',
    caughtBy: 'global race',
  },
  {
    name: 'fence dropped behind the ticket of whoever arrives last',
    stem: 'threshold',
    file: 'gpu/ticket.cuh',
    from: '== total ? 1u : 0u;\n    __threadfence();',
    to: '== total ? 1u : 0u;',
    caughtBy: 'global race',
  },
  {
    name: 'tickets counted without an atomic',
    stem: 'threshold',
    file: 'gpu/ticket.cuh',
    from: '*shared = atomicAdd(counter, 1u) + 1 == total',
    to: '*shared = ++*counter == total',
    caughtBy: 'global race',
  },
  {
    name: 'fence dropped before the flag of a finished layer',
    stem: 'pdpStep',
    file: 'gpu/ticket.cuh',
    from: '    __threadfence();\n    atomicExch(flag, value);',
    to: '    atomicExch(flag, value);',
    caughtBy: 'global race',
  },
  {
    name: 'wait for asynchronous copies dropped',
    stem: 'scaledDotProductAttention',
    file: 'scaledDotProductAttention.cu',
    from: '      waitCopies<0>();\n      __syncthreads();\n      if (slice == s.slices - 1) {',
    to: '      __syncthreads();\n      if (slice == s.slices - 1) {',
    caughtBy: 'asynchronous copy',
  },
  {
    name: 'barrier dropped behind the wait for asynchronous copies',
    stem: 'scaledDotProductAttention',
    file: 'scaledDotProductAttention.cu',
    from: '      waitCopies<0>();\n      __syncthreads();\n      if (slice == s.slices - 1) {',
    to: '      waitCopies<0>();\n      if (slice == s.slices - 1) {',
    caughtBy: 'asynchronous copy',
  },
];
