// Training steps, each side in a process of its own, taking turns. The limit of a PDP step is our own dense step of the
// same rounds, and its share the median over the pairs: what is missing to 1 is what pruning costs.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { type Interface, createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SecateurError } from '../lib/core/errors.js';
import { packageRoot } from '../lib/core/native.js';
import { type Row, median } from './row.js';

const settings = (['resnet18', 'resnet20'] as const).flatMap((model) =>
  (['f32', 'bf16'] as const).flatMap((dtype) =>
    (['dense', 'pdp'] as const).map((mode) => ({ model, dtype, mode, batch: 128 })),
  ),
);

/** A process that answers each line with one. */
class Side {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #errors = '';

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args);
    this.#child.stderr.on('data', (d: Buffer) => (this.#errors += d.toString()));
    this.#child.on('error', (e) => (this.#errors += e.message));
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async read(): Promise<Record<string, number>> {
    const { value, done } = (await this.#lines.next()) as IteratorResult<string, undefined>;
    if (done === true)
      throw new SecateurError('ERR_IO', `bench: ${this.#child.spawnfile} ended early: ${this.#errors.slice(-600)}`);
    return JSON.parse(value) as Record<string, number>;
  }

  async ask(line: string): Promise<Record<string, number>> {
    this.#child.stdin.write(`${line}\n`);
    return this.read();
  }

  close(): void {
    this.#reader.close();
    this.#child.kill();
  }
}

const here = dirname(fileURLToPath(import.meta.url));

export async function* benchSteps(filter: string, rounds: number, python: string | undefined): AsyncGenerator<Row> {
  for (const setting of settings) {
    if (!`${setting.model} ${setting.dtype} ${setting.mode}`.includes(filter)) continue;
    const argument = JSON.stringify(setting);
    const ours = new Side(process.execPath, [join(here, 'stepWorker.js'), argument]);
    const dense =
      setting.mode === 'pdp'
        ? new Side(process.execPath, [join(here, 'stepWorker.js'), JSON.stringify({ ...setting, mode: 'dense' })])
        : undefined;
    const peers =
      python === undefined
        ? []
        : ['eager', 'compiled'].map((form) => ({
            form,
            side: new Side(python, [join(packageRoot(), 'bench/peers/steps.py'), argument, form]),
          }));
    try {
      await ours.read();
      await dense?.read();
      for (const { side } of peers) await side.read();
      const times: number[] = [];
      const counts: number[] = [];
      const denseTimes: number[] = [];
      const peerTimes = peers.map((): number[] => []);
      const warmup = 3;
      for (let r = -warmup; r < rounds; r++) {
        const { ms, reorders } = await ours.ask('step');
        if (r >= 0) {
          times.push(ms as number);
          counts.push(reorders as number);
        }
        const plain = (await dense?.ask('step'))?.['ms'];
        if (r >= 0 && plain !== undefined) denseTimes.push(plain);
        for (const [i, { side }] of peers.entries()) {
          const answer = await side.ask('step');
          if (r >= 0) (peerTimes[i] as number[]).push(answer['ms'] as number);
        }
      }
      const ms = median(times);
      const { peakBytes } = await ours.ask('quit');
      const medians = peerTimes.map(median);
      const best = medians.length === 0 ? -1 : medians.indexOf(Math.min(...medians));
      const peer = peers[best];
      const peerMs = medians[best] ?? null;
      const peerPeak = peer === undefined ? null : ((await peer.side.ask('quit'))['peakBytes'] as number);
      yield {
        bench: 'steps',
        name: setting.model,
        dtype: setting.dtype,
        mode: setting.mode,
        batch: setting.batch,
        ms,
        unit: 'samples/s',
        value: (setting.batch / ms) * 1000,
        limit: dense === undefined ? null : (setting.batch / median(denseTimes)) * 1000,
        share: dense === undefined ? null : median(denseTimes.map((d, i) => d / (times[i] as number))),
        peer: peer === undefined ? null : `torch ${peer.form}`,
        peerMs,
        ratio: peerMs === null ? null : peerMs / ms,
        peakBytes: peakBytes as number,
        peerPeakBytes: peerPeak,
        reorders: median(counts),
      };
    } finally {
      ours.close();
      dense?.close();
      for (const { side } of peers) side.close();
    }
  }
}
