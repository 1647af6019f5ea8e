// The conformance suite on the simulated GPU (gpusim/README.md), in a process of its own: a fault ends the device for
// the process that met it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/core/native.js';

const root = packageRoot();
const simulator = join(root, 'build-gpusim/libcuda.so.1');

/** Why nothing can be run on the simulated GPU; false when it can. */
export const noSimulator: string | false = !existsSync(join(root, 'build/Release/libsecateur_cuda.so'))
  ? 'the build found no nvcc: there is no CUDA backend'
  : !existsSync(simulator)
    ? 'the simulated GPU is not built: node scripts/build.mjs --gpusim'
    : false;

/** Settings for the stand-ins of NVIDIA's libraries; without them there is none. */
export const standIns = {
  SECATEUR_LIBCUDNN: join(root, 'build-gpusim/fakes/libcudnn.so'),
  SECATEUR_LIBCUBLASLT: join(root, 'build-gpusim/fakes/libcublasLt.so'),
} as const;

export interface Conformance {
  readonly passed: number;
  /** Assertions that did not hold, as "op > case > assertion". */
  readonly failed: readonly string[];
  /** What the simulator itself complained of, first complaint first. */
  readonly faults: readonly string[];
  /** Sources whose kernels came from elsewhere (SECATEUR_GPUSIM_PTX). */
  readonly replaced: readonly string[];
  /** Everything else worth knowing when it went wrong: exit status, last words. */
  readonly ending: string;
}

/** Runs the conformance suite with these settings beside the usual ones. */
export function conform(settings: Readonly<Record<string, string>>): Promise<Conformance> {
  // Under tap's runner a test leaves out its totals; this one is to speak as it does alone.
  const own = Object.entries(process.env).filter(([name]) => !/^_?TAP/.test(name));
  const env = {
    ...Object.fromEntries(own),
    SECATEUR_LIBCUDA: simulator,
    SECATEUR_TEST_DEVICE: 'cuda',
    SECATEUR_NO_CACHE: '1',
    TAP_TIMEOUT: '900',
    ...settings,
  };
  return new Promise((done) => {
    const child = spawn(process.execPath, [join(root, 'dist/test/ops.conform.test.js')], { cwd: root, env });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += String(data)));
    child.stderr.on('data', (data) => (err += String(data)));
    child.on('close', (status, signal) => {
      const faults = [...err.matchAll(/^simulated GPU: (.*(?:\n {2}.*)*)/gm)].map(([, fault = '']) => fault);
      const passed = Number(/^# \{.*\bpass: (\d+)/m.exec(out)?.[1] ?? 0);
      const ending = `status ${status ?? signal ?? 'none'}; ${err.trim().split('\n').at(-1) ?? ''}`;
      const replaced = [...err.matchAll(/^simulated GPU loads another (.*)/gm)].map(([, file = '']) => file);
      done({ passed, failed: failures(out), faults, replaced, ending });
    });
  });
}

/** The failed assertions in TAP; a failed subtest is known by its time, and says nothing that they do not. */
function failures(tap: string): string[] {
  const path: string[] = [];
  const found: string[] = [];
  for (const line of tap.split('\n')) {
    const [, indent = '', subtest] = /^( *)# Subtest: (.*)/.exec(line) ?? [];
    if (subtest !== undefined) path.splice(indent.length / 4, Infinity, subtest);
    const [, at = '', name] = /^( *)not ok \d+ - (.*)/.exec(line) ?? [];
    if (name !== undefined && !/ # time=/.test(name)) found.push([...path.slice(0, at.length / 4), name].join(' > '));
  }
  return found;
}
