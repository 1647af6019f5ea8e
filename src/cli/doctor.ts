import { availableParallelism, cpus, totalmem } from 'node:os';
import { Command } from 'commander';
import { loadFashionMnist } from '../../lib/data/fashionMnist.js';
import { SecateurError } from '../../lib/core/errors.js';
import { native } from '../../lib/core/native.js';
import { type Finding, gpuFindings } from './gpuFindings.js';

function processor(): Finding {
  const model = cpus()[0]?.model ?? 'unknown processor';
  return {
    name: 'processor',
    ok: true,
    found: `${model.trim()}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
  };
}

function runtime(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return { name: 'node', ok, found: process.version, ...(ok ? {} : { mend: 'install Node 20.19 or newer' }) };
}

function addon(): Finding[] {
  try {
    const { isa, isas, threads, onednn, sync } = native.info();
    return [
      { name: 'native part', ok: true, found: `loaded${sync ? ', synchronous (SECATEUR_SYNC=1)' : ''}` },
      {
        name: 'cpu kernels',
        ok: isa !== 'baseline',
        found: `${isa} of ${isas.join(', ') || 'none'}, ${threads} threads`,
        ...(isa === 'baseline' ? { mend: 'a processor with AVX2 and FMA is needed' } : {}),
      },
      { name: 'oneDNN', ok: true, found: onednn },
    ];
  } catch (error) {
    const message = error instanceof SecateurError ? error.message : String(error);
    return [
      { name: 'native part', ok: false, found: message, mend: 'npm rebuild secateur (in a checkout: npm run build)' },
    ];
  }
}

function data(): Finding {
  try {
    const { train, test } = loadFashionMnist();
    return { name: 'Fashion-MNIST', ok: true, found: `${train.count} training and ${test.count} test images` };
  } catch (error) {
    return {
      name: 'Fashion-MNIST',
      ok: false,
      found: error instanceof Error ? error.message : String(error),
      mend: 'apt-get install dataset-fashion-mnist',
    };
  }
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Say what this machine offers and what is missing.')
    .option('--json', 'print the findings as JSON on stdout')
    .action((options: { json?: boolean }) => {
      const findings = [processor(), runtime(), ...addon(), data(), ...gpuFindings()];
      if (options.json === true) console.log(JSON.stringify(findings, null, 2));
      else {
        const width = Math.max(...findings.map((f) => f.name.length));
        const indent = ' '.repeat(width + 11);
        for (const { name, ok, found, mend, tried = [] } of findings) {
          const lines = [
            found,
            ...tried.map((place) => `looked in: ${place}`),
            ...(mend === undefined ? [] : [`mend: ${mend}`]),
          ];
          console.log(
            `${ok === true ? 'ok     ' : ok === false ? 'missing' : 'none   '}  ${name.padEnd(width)}  ${lines.join(`\n${indent}`)}`,
          );
        }
      }
      if (findings.some((f) => f.ok === false)) process.exitCode = 1;
    });
}
