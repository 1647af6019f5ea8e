// npm run bench -- ops|steps|kernels|import [--json] [--filter text] ...; `--help` lists the rest
import { Command, Option } from 'commander';
import { device } from '../lib/core/device.js';
import { SecateurError } from '../lib/core/errors.js';
import { whole } from '../src/cli/pruneOptions.js';
import { benchKernels } from './kernels.js';
import { gpuOf, openResults } from './kernelResults.js';
import { kernelHeading, printKernelRow } from './kernelRow.js';
import { benchImport } from './importCost.js';
import { benchOps } from './ops.js';
import { heading, printRow } from './row.js';
import { benchSteps } from './steps.js';
import { layers24, tune24 } from './tune24.js';

interface BenchOptions {
  json?: boolean;
  filter?: string;
  rounds: number;
  peer?: boolean;
  python: string;
}
interface KernelsOptions extends BenchOptions {
  arch?: string;
  out?: string;
  scale: number;
  tune?: string;
}

const program = new Command('bench').description('Measure, against the limits of this machine and a peer, in one run.');
const rounds = (n: number): Option => new Option('--rounds <n>', 'measurements a row').default(n).argParser(whole(1));
program
  .command('ops')
  .description('every op at a realistic size: GB/s or GFLOP/s and the share of what this machine can do')
  .option('--json', 'one object a line')
  .option('--filter <text>', 'only rows whose name has this text')
  .addOption(rounds(21))
  .action(async (o: BenchOptions) => {
    if (o.json !== true) console.log(heading());
    for await (const row of benchOps(o.filter ?? '', o.rounds)) printRow(row, o.json === true);
  });
program
  .command('steps')
  .description('training steps of ResNet-18 and ResNet-20, dense and pruned')
  .option('--json', 'one object a line')
  .option('--filter <text>', 'only rows whose name has this text')
  .addOption(rounds(9))
  .option('--peer', 'the same steps in PyTorch, interleaved')
  .option('--python <program>', 'python with torch', 'python3')
  .action(async (o: BenchOptions) => {
    if (o.json !== true) console.log(heading());
    for await (const row of benchSteps(o.filter ?? '', o.rounds, o.peer === true ? o.python : undefined))
      printRow(row, o.json === true);
  });
program
  .command('import')
  .description('what importing the package costs')
  .option('--json', 'one object a line')
  .addOption(rounds(15))
  .action((o: BenchOptions) => {
    if (o.json !== true) console.log(heading());
    printRow(benchImport(o.rounds), o.json === true);
  });
program
  .command('kernels')
  .description(
    'the CUDA kernels: machine code, occupancy, bytes an element counted on the simulated GPU, times on a real one',
  )
  .option('--json', 'one object a line')
  .option('--filter <text>', 'only work and kernels whose name has this text')
  .option('--arch <sm>', 'only this architecture, as in sm_90')
  .option('--out <file>', 'where to write the rows as well (with a GPU default: kernels-<its name>.jsonl)')
  .addOption(rounds(21))
  .option('--scale <n>', 'with a GPU: how many times the counted work is timed at once', whole(1), 32)
  .option('--tune <file>', 'measure the products of 2:4 weights on the GPU and write the table for SECATEUR_TABLE24')
  .action((o: KernelsOptions) => {
    if (o.tune !== undefined) {
      for (const entry of tune24(o.tune, layers24, o.rounds)) console.log(JSON.stringify(entry));
      return;
    }
    if (o.json !== true) console.log(kernelHeading());
    const gpu = device('auto') === 'cuda' ? gpuOf() : undefined;
    const timing = gpu === undefined ? undefined : { ...gpu, scale: o.scale, rounds: o.rounds };
    const write = openResults(o.out, gpu);
    for (const row of benchKernels({ filter: o.filter ?? '', arch: o.arch, timing })) {
      printKernelRow(row, o.json === true);
      write(row);
    }
  });
try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof SecateurError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
