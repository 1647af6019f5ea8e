import { SecateurError } from './errors.js';

/**
 * One counter-based generator for everything: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"). Word i of a stream is a function of (seed, position) alone, so every device, thread count and replay
 * sees the same numbers. An op reserves a range of positions and saves only its start.
 */
export interface RandomState {
  seed: number;
  position: number;
}

const state: RandomState = { seed: 0, position: 0 };

/** Starts the generator again from a seed (a whole number from 0 to below 2^53). ERR_ARGUMENT for another. */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new SecateurError(
      'ERR_ARGUMENT',
      `manualSeed: ${seed} is not a seed; needs a whole number from 0 to 2^53 - 1.`,
    );
  state.seed = seed;
  state.position = 0;
}

/** Where the generator stands: what a checkpoint stores. */
export function randomState(): RandomState {
  return { ...state };
}

/** Puts the generator where `randomState` found it. */
export function setRandomState(to: RandomState): void {
  state.seed = to.seed;
  state.position = to.position;
}

/** Reserves `count` 32-bit words and gives the position of the first. Ranges start at a multiple of 4, one Philox block. */
export function reserveRandom(count: number): RandomState {
  const start = { ...state };
  state.position += Math.ceil(count / 4) * 4;
  return start;
}

const words = new Uint32Array(4);

function mulHigh(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (mid % 65536);
  return (ah * bh + Math.floor(mid / 65536) + Math.floor(low / 65536)) >>> 0;
}

/** The four words of block `block` (position / 4) of the stream of `seed`. The returned array is overwritten by the next call. */
function philox(seed: number, block: number): Uint32Array {
  let c0 = block >>> 0;
  let c1 = Math.floor(block / 4294967296) >>> 0;
  let c2 = 0;
  let c3 = 0;
  let k0 = seed >>> 0;
  let k1 = Math.floor(seed / 4294967296) >>> 0;
  for (let round = 0; round < 10; round++) {
    const h0 = mulHigh(0xd2511f53, c0);
    const l0 = Math.imul(0xd2511f53, c0) >>> 0;
    const h1 = mulHigh(0xcd9e8d57, c2);
    const l1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (h1 ^ c1 ^ k0) >>> 0;
    c1 = l1;
    c2 = (h0 ^ c3 ^ k1) >>> 0;
    c3 = l0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
  return words;
}

/** The word at a position, as a uniform number in [0, 1): 24 bits, exact in float32. */
export function uniformAt(seed: number, position: number): number {
  const block = Math.floor(position / 4);
  return ((philox(seed, block)[position - block * 4] as number) >>> 8) / 16777216;
}

/** A stream of uniform numbers in [0, 1) on the host, for shuffles and initial values. */
export function* uniforms(start: RandomState): Generator<number, never> {
  for (let position = start.position; ; position++) yield uniformAt(start.seed, position);
}
