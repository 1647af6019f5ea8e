#!/usr/bin/env node
// secateur <command>: data on stdout, words for people on stderr. Exit codes: 0 ok, 1 failure, 2 usage, 3 target not
// met, 130 interrupted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { SecateurError } from '../../lib/core/errors.js';
import { packageRoot } from '../../lib/core/native.js';
import { doctorCommand } from './doctor.js';
import { pruneCommand } from './prune.js';

const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
const exitCodes =
  '\nExit codes: 0 ok, 1 failure (doctor: something needed is missing), 2 wrong usage, 3 target not met, 130 interrupted.';

const program = new Command('secateur')
  .description('Prune neural networks while they train.')
  .exitOverride()
  .version(version)
  .addHelpText('after', exitCodes)
  .addCommand(pruneCommand())
  .addCommand(doctorCommand());
for (const command of program.commands) command.exitOverride().addHelpText('after', exitCodes);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof SecateurError) {
    console.error(`secateur: ${error.message} (${error.code})`);
    process.exitCode =
      error.code === 'ERR_OPTION' || error.code === 'ERR_ARGUMENT' ? 2 : error.code === 'ERR_TARGET' ? 3 : 1;
  } else throw error;
}
