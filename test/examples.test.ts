// The programs of examples/ run as they stand, importing the package by its name; each checks its own result.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../lib/core/native.js';

const folder = join(packageRoot(), 'examples');
const programs = readdirSync(folder).filter((f) => f.endsWith('.mjs'));
t.ok(programs.length >= 2, 'there are examples');
for (const program of programs) {
  t.test(program, (t) => {
    const r = spawnSync(process.execPath, [join(folder, program)], { encoding: 'utf8' });
    t.equal(r.status, 0, r.stderr);
    t.not(r.stdout, '');
    t.end();
  });
}
