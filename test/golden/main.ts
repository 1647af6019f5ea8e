// npm run golden -- <folder> [--device ref|cpu] [--json]
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { GoldenDevice, Row } from './comparison.js';
import { compareFolder } from './runner.js';

const usage = `Compares this library with golden files: each <name>.safetensors with its <name>.json below a folder.

  npm run golden -- <folder> [--device ref|cpu] [--json]

One line for each file and group of arrays:
  file  group  largest difference  tolerance  ok|off|not covered  device
The difference shown is the one largest against its tolerance. On ref, which computes in double precision, the file's
float64 tolerances hold, on cpu its float32 ones; without --device both are run. With --json each line is an object.
Exit status: 0 when nothing is off, 1 when something is, 2 for wrong usage.
`;

function show(row: Row, json: boolean): void {
  if (json) {
    const { file, group, difference, tolerance, verdict, device } = row;
    // JSON has no infinity.
    const finite = difference === null ? null : Math.min(difference, Number.MAX_VALUE);
    console.log(JSON.stringify({ file, group, difference: finite, tolerance, verdict, device }));
  } else {
    const number = (x: number | null): string => (x === null ? '-' : x === 0 ? '0' : x.toExponential(2));
    const { file, group, verdict, device } = row;
    console.log([file, group, number(row.difference), number(row.tolerance), verdict, device].join('  '));
  }
  if (row.note !== undefined) console.error(`${row.file} ${row.group} (${row.device}): ${row.note}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { device: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const { device } = values;
  if (positionals.length !== 1 || (device !== undefined && device !== 'ref' && device !== 'cpu')) {
    console.error(usage);
    return 2;
  }
  const devices: GoldenDevice[] = device === undefined ? ['ref', 'cpu'] : [device];
  // npm runs scripts in the package's folder and says where it was called.
  const folder = resolve(process.env['INIT_CWD'] ?? '.', positionals[0] as string);
  const rows = await compareFolder(folder, devices, (row) => show(row, values.json === true));
  return rows.some((row) => row.verdict === 'off') ? 1 : 0;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error((error as Error).message);
    process.exitCode = 2;
  },
);
