import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { SecateurError } from '../../lib/core/errors.js';
import { writeFileAtomic, writeJsonAtomic } from '../../lib/io/atomicWrite.js';
import { histogramOf } from '../../lib/train/histogram.js';
import { type ReportData, renderHtmlReport } from '../pdp/htmlReport.js';
import { fileSizes } from '../pdp/report.js';
import { count } from '../pdp/schedule.js';
import { type JobResult, files, runPruneJob } from './pruneJob.js';
import { readPruneOptions, withPruneOptions } from './pruneOptions.js';
import { summaryTable } from './summaryTable.js';

interface LogLine {
  stage: 'dense' | 'prune';
  step: number;
  phase?: string;
  loss?: number;
  accuracy?: number;
  sparsity?: number;
  testAccuracy?: number;
}

/** The curves of both stages on one axis, read back from the log so that a resumed run shows all of them. */
function readCurves(path: string, denseSteps: number): Pick<ReportData, 'curves' | 'phases'> {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => JSON.parse(l) as LogLine);
  // A step logged twice (the run was killed and resumed from before it) counts as it came last.
  const byStep = new Map<number, LogLine>();
  const phases: { name: string; step: number }[] = [];
  for (const line of lines) {
    const step = line.step + (line.stage === 'prune' ? denseSteps : 0);
    byStep.set(step, { ...byStep.get(step), ...line });
    const name = line.stage === 'dense' ? 'dense' : line.phase;
    if (name !== undefined && !phases.some((p) => p.name === name)) phases.push({ name, step });
  }
  const entries = [...byStep].sort(([a], [b]) => a - b);
  const series = (pick: (l: LogLine) => number | undefined): (number | null)[] =>
    entries.map(([, l]) => pick(l) ?? null);
  return {
    phases,
    curves: {
      steps: entries.map(([s]) => s),
      loss: series((l) => l.loss),
      trainAccuracy: series((l) => l.accuracy),
      testAccuracy: series((l) => l.testAccuracy),
      sparsity: series((l) => l.sparsity),
    },
  };
}

function reportOf(result: JobResult, command: string): ReportData {
  const { options, report, dense, pruned, cut, batchSize, steps } = result;
  const sizes = {
    dense: fileSizes(join(options.out, files.dense)),
    pruned: fileSizes(join(options.out, files.pruned)),
  };
  const thresholds = new Map(cut.map((c) => [c.name, c.threshold]));
  return {
    title: `${options.model} on ${options.data}, ${options.method} at ${(options.sparsity * 100).toFixed(1)} %`,
    settings: {
      model: options.model,
      data: options.data,
      method: options.method,
      tau: options.tau,
      allocation: options.allocation,
      'dense steps': steps.dense,
      'pruning steps': steps.prune,
      'batch size': batchSize,
      'test images': dense.samples,
      seed: options.seed,
      device: result.device,
      precision: options.bf16 === true ? 'bf16' : 'f32',
      'mask in the optimizer step': result.fold.on ? 'yes' : `no: ${result.fold.reason}`,
      command,
    },
    accuracy: { dense: dense.accuracy, pruned: pruned.accuracy },
    sparsity: { asked: options.sparsity, prunable: report.prunable.sparsity, all: report.all.sparsity },
    parameters: { prunable: report.prunable.parameters, all: report.all.parameters },
    nonzeros: { dense: report.all.parameters, pruned: report.all.nonzeros },
    macs: { dense: report.macs, pruned: report.macsNonzero },
    bytes: { dense: sizes.dense.bytes, pruned: sizes.pruned.bytes },
    msPerBatch: result.milliseconds,
    batchSize,
    notes: [
      `Zeros scattered over a weight give no speed-up here: the pruned network computes with dense kernels, so both times are expected to agree.`,
      `The files store every zero. Compressed with gzip the dense file has ${sizes.dense.gzip.toLocaleString('en')} bytes, the pruned one ${sizes.pruned.gzip.toLocaleString('en')}.`,
      `Multiply-accumulates of the pruned network count nonzero weights only.`,
    ],
    ...readCurves(join(options.out, files.log), steps.dense),
    layers: report.layers.map((l) => ({
      name: l.name,
      shape: l.shape,
      parameters: l.parameters,
      nonzeros: l.nonzeros,
      macs: { dense: l.macs, pruned: l.macsNonzero },
      threshold: thresholds.get(l.name) ?? null,
    })),
    histograms: cut.map(({ name, values, threshold }) => {
      const { edges, counts } = histogramOf(values);
      return { name, edges, counts, threshold };
    }),
  };
}

async function prune(command: Command): Promise<void> {
  const options = readPruneOptions(command);
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130); // asked twice: do not wait for the step
    console.error('\nsecateur: finishing this step, then saving. Press Ctrl-C again to leave at once.');
    abort.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const result = await runPruneJob(options, abort.signal);
    if (result === undefined) {
      console.error(
        `secateur: interrupted; the state is saved in ${options.out}. Go on with the same command and --resume.`,
      );
      process.exitCode = 130;
      return;
    }
    const data = reportOf(result, `secateur ${process.argv.slice(2).join(' ')}`);
    writeJsonAtomic(join(options.out, 'report.json'), data as unknown as Record<string, unknown>);
    writeFileAtomic(join(options.out, 'report.html'), [Buffer.from(renderHtmlReport(data))]);
    rmSync(join(options.out, files.checkpoint('prune')), { force: true });
    console.log(options.json === true ? JSON.stringify(data) : summaryTable(data));
    console.error(`secateur: report: ${resolve(options.out, 'report.html')}`);
    const asked = count(options.sparsity, result.report.prunable.parameters);
    const zeros = result.report.prunable.parameters - result.report.prunable.nonzeros;
    if (zeros < asked)
      throw new SecateurError('ERR_TARGET', `the target was not met: ${zeros} of ${asked} weights are zero.`, {
        zeros,
        asked,
      });
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

export function pruneCommand(): Command {
  const command = withPruneOptions(
    new Command('prune').description('Train a network, prune it while it trains, and report what came of it.'),
  );
  return command.action(() => prune(command));
}
