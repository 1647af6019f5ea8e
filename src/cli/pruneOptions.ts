// The flags of `secateur prune`: declared once, checked once, also read from a JSON file.
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SecateurError, checkOptions } from '../../lib/core/errors.js';

export interface PruneOptions {
  data: 'fashion-mnist';
  dataDir?: string;
  model: 'resnet20' | 'resnet18';
  width?: number;
  method: 'pdp';
  sparsity: number;
  tau: number;
  allocation: 'globalMagnitude' | 'uniform' | 'erk';
  denseSteps?: number;
  pruneSteps?: number;
  finetuneSteps: number;
  batchSize: number;
  lr: number;
  weightDecay: number;
  labelSmoothing: number;
  trainLimit?: number;
  testLimit?: number;
  full?: boolean;
  bf16?: boolean;
  seed: number;
  threads?: number;
  device: 'auto' | 'cpu' | 'cuda';
  out: string;
  resume?: boolean;
  json?: boolean;
  config?: string;
}

/** The quick setting ends within minutes on two cores; `--full` is the one whose figures the documentation gives. */
export const quick = { trainLimit: 12_000, testLimit: 5_000, denseSteps: 280, pruneSteps: 420 };
export const full = { trainLimit: 60_000, testLimit: 10_000, denseSteps: 1_872, pruneSteps: 2_808 };
const unlessFull = (name: keyof typeof quick): string => `(default: ${quick[name]}, with --full ${full[name]})`;

/** Parses a flag that is a whole number. */
export const whole =
  (least: number) =>
  (text: string): number => {
    const n = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(n) || n < least)
      throw new InvalidArgumentError(`needs a whole number of at least ${least}.`);
    return n;
  };
const number =
  (test: (x: number) => boolean, needs: string) =>
  (text: string): number => {
    const x = Number(text);
    if (text.trim() === '' || !Number.isFinite(x) || !test(x)) throw new InvalidArgumentError(`needs ${needs}.`);
    return x;
  };

export function withPruneOptions(command: Command): Command {
  return command
    .addOption(new Option('--data <name>', 'data set').choices(['fashion-mnist']).default('fashion-mnist'))
    .option(
      '--data-dir <folder>',
      'folder with the four idx files, plain or .gz (default: where the Debian package put them)',
    )
    .addOption(new Option('--model <name>', 'network').choices(['resnet20', 'resnet18']).default('resnet20'))
    .option('--width <n>', 'channels of the first stage (default: 16 for resnet20, 64 for resnet18)', whole(1))
    .addOption(new Option('--method <name>', 'pruning method').choices(['pdp']).default('pdp'))
    .option(
      '--sparsity <s>',
      'fraction of prunable weights to remove, 0 <= s < 1',
      number((x) => x >= 0 && x < 1, '0 <= sparsity < 1'),
      0.9,
    )
    .option(
      '--tau <t>',
      'temperature of the soft mask; small is sharp',
      number((x) => x > 0, 'a number above 0'),
      1e-4,
    )
    .addOption(
      new Option('--allocation <how>', 'shares of the layers: one ranking of all weights, equal, or Erdos-Renyi-Kernel')
        .choices(['globalMagnitude', 'uniform', 'erk'])
        .default('globalMagnitude'),
    )
    .option('--dense-steps <n>', `optimizer steps of dense training ${unlessFull('denseSteps')}`, whole(1))
    .option('--prune-steps <n>', `optimizer steps of pruning ${unlessFull('pruneSteps')}`, whole(2))
    .option('--finetune-steps <n>', 'the last n of the pruning steps have the mask fixed', whole(0), 0)
    .option('--batch-size <n>', 'images a step', whole(1), 128)
    .option(
      '--lr <x>',
      'peak learning rate of dense training; half of it while pruning',
      number((x) => x > 0, 'a number above 0'),
      0.1,
    )
    .option(
      '--weight-decay <x>',
      'weight decay',
      number((x) => x >= 0, 'a number of at least 0'),
      5e-4,
    )
    .option(
      '--label-smoothing <x>',
      'label smoothing',
      number((x) => x >= 0 && x < 1, '0 <= x < 1'),
      0,
    )
    .option('--train-limit <n>', `use the first n training images ${unlessFull('trainLimit')}`, whole(1))
    .option('--test-limit <n>', `use the first n test images ${unlessFull('testLimit')}`, whole(1))
    .option('--full', 'all data and the long schedule')
    .option('--bf16', 'compute convolutions and matrix products in bf16')
    .option('--seed <n>', 'seed of everything random', whole(0), 0)
    .option('--threads <n>', 'threads of the CPU kernels, at most 1024 (default: one a core)', whole(1))
    .addOption(
      new Option('--device <name>', 'where to compute; auto: the GPU where one can be used')
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option('--out <folder>', 'where to write the models, the logs and the report', 'runs/prune')
    .option('--resume', 'go on from the checkpoint in the output folder')
    .option('--json', 'print the report as JSON on stdout')
    .option('--config <file>', 'read options from a JSON file, as in {"denseSteps": 100}; flags win');
}

/** The options of a call: the file's where a flag was not given. The file's values pass through the flags' own checks. */
export function readPruneOptions(command: Command): PruneOptions {
  const options = command.opts<PruneOptions>();
  if (options.config === undefined) return options;
  let file: unknown;
  try {
    file = JSON.parse(readFileSync(options.config, 'utf8'));
  } catch (cause) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `--config ${options.config}: ${cause instanceof Error ? cause.message : String(cause)}. Needs a JSON file with an object.`,
      {},
      cause,
    );
  }
  if (file === null || typeof file !== 'object' || Array.isArray(file)) {
    throw new SecateurError('ERR_ARGUMENT', `--config ${options.config}: needs an object of option names and values.`);
  }
  const known = new Map(command.options.map((o) => [o.attributeName(), o]));
  checkOptions(`--config ${options.config}`, file, [...known.keys()]);
  for (const [name, value] of Object.entries(file)) {
    const option = known.get(name) as Option;
    if (command.getOptionValueSource(name) === 'cli') continue;
    command.setOptionValueWithSource(name, checked(options.config, option, value), 'config');
  }
  return command.opts<PruneOptions>();
}

function checked(file: string, option: Option, value: unknown): unknown {
  const refuse = (needs: string): SecateurError =>
    new SecateurError(
      'ERR_ARGUMENT',
      `--config ${file}: ${option.attributeName()} is ${JSON.stringify(value)}; ${needs}`,
      { value },
    );
  if (option.isBoolean()) {
    if (typeof value !== 'boolean') throw refuse('needs true or false.');
    return value;
  }
  if (typeof value !== 'string' && typeof value !== 'number') throw refuse('needs a number or a word.');
  if (option.argChoices !== undefined && !option.argChoices.includes(String(value)))
    throw refuse(`needs one of ${option.argChoices.join(', ')}.`);
  try {
    return option.parseArg === undefined ? String(value) : option.parseArg(String(value), undefined as never);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}
