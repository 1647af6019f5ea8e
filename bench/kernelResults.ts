// The results file of the kernel bench: a line about the GPU, then the rows.
import { appendFileSync, writeFileSync } from 'node:fs';
import { native } from '../lib/core/native.js';
import type { KernelRow } from './kernelRow.js';

export interface Gpu {
  readonly name: string;
  /** As in `sm_90`. */
  readonly arch: string;
  readonly driverCuda: number;
  /** Those of NVIDIA's libraries that are there. */
  readonly libraries: readonly string[];
}

interface Described {
  readonly name: string;
  readonly capability: number;
  readonly driverCuda: number;
  readonly libraries: readonly { readonly name: string; readonly available: boolean }[];
}

/** The GPU of this process. */
export function gpuOf(): Gpu {
  const { name, capability, driverCuda, libraries } = JSON.parse(native.cudaDescribe()) as Described;
  const there = libraries.filter((l) => l.available).map((l) => l.name);
  return { name, arch: `sm_${capability}`, driverCuda, libraries: there };
}

/**
 * Starts the results file, if one was asked for or there is a GPU whose times are worth keeping, and gives what adds a
 * row to it. A run that is cut short leaves the rows so far.
 */
export function openResults(asked: string | undefined, gpu: Gpu | undefined): (row: KernelRow) => void {
  const slug = gpu?.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const path = asked ?? (slug === undefined ? undefined : `kernels-${slug}.jsonl`);
  if (path === undefined) return () => undefined;
  const head = { bench: 'kernels', gpu: gpu ?? null, date: new Date().toISOString() };
  writeFileSync(path, JSON.stringify(head) + '\n');
  return (row) => {
    appendFileSync(path, JSON.stringify(row) + '\n');
  };
}
