// How many threads of a kernel a multiprocessor holds at once, as a share of what it could hold. The limits are those of
// the CUDA programming guide, "Compute Capabilities"; test/bench compares with the vendor's own calculator.

export interface Multiprocessor {
  readonly warps: number;
  readonly blocks: number;
  readonly registers: number;
  /** Registers are given out to a warp in pieces of this many. */
  readonly registerUnit: number;
  readonly sharedBytes: number;
  /** Shared memory that every block costs beside its own, and the pieces in which it is given out. */
  readonly reservedShared: number;
  readonly sharedUnit: number;
}

const common = { registers: 65536, registerUnit: 256, reservedShared: 1024, sharedUnit: 128 } as const;

export const multiprocessors: Readonly<Record<number, Multiprocessor>> = {
  80: { ...common, warps: 64, blocks: 32, sharedBytes: 164 << 10 },
  90: { ...common, warps: 64, blocks: 32, sharedBytes: 228 << 10 },
  100: { ...common, warps: 64, blocks: 32, sharedBytes: 228 << 10 },
  120: { ...common, warps: 48, blocks: 24, sharedBytes: 100 << 10 },
};

/** Warps at once / warps possible, from 0 to 1; null for an architecture that is not in the table. */
export function occupancy(
  arch: number,
  launch: { readonly threads: number; readonly registers: number; readonly sharedBytes: number },
): number | null {
  const m = multiprocessors[arch];
  if (m === undefined || launch.threads === 0) return null;
  const warps = Math.ceil(launch.threads / 32);
  const up = (x: number, unit: number): number => Math.ceil(x / unit) * unit;
  const registersAWarp = up(Math.max(launch.registers, 1) * 32, m.registerUnit);
  // Warps sit in four quarters, each with its own quarter of the registers.
  const warpsByRegisters = 4 * Math.floor(m.registers / 4 / registersAWarp);
  const shared = up(launch.sharedBytes + m.reservedShared, m.sharedUnit);
  const blocks = Math.min(
    m.blocks,
    Math.floor(m.warps / warps),
    Math.floor(warpsByRegisters / warps),
    Math.floor(m.sharedBytes / shared),
  );
  return (blocks * warps) / m.warps;
}
