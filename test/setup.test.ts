// What scripts/setup.mjs does about Debian packages, with stand-ins for the programs it calls: as root, with sudo, without.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../lib/core/native.js';

const root = process.getuid?.() === 0;
const nobody = 65534;

interface Machine {
  /** What dpkg-query answers. */
  installed?: readonly string[];
  sudo?: boolean;
  /** How many calls of apt-get fail before one succeeds. */
  aptFails?: number;
}

interface Outcome {
  status: number | null;
  says: string;
  /** The calls of apt-get, sudo and npm, in order. */
  calls: readonly string[];
}

function setUp(admin: boolean, { installed = [], sudo = false, aptFails = 0 }: Machine): Outcome {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-setup-'));
  try {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    mkdirSync(join(folder, 'scripts'));
    copyFileSync(join(packageRoot(), 'scripts/setup.mjs'), join(folder, 'scripts/setup.mjs'));
    const log = join(folder, 'log');
    writeFileSync(log, '');
    const program = (name: string, body: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    program('dpkg-query', installed.map((p) => `echo '${p} install ok installed'`).join('\n'));
    program('sudo', sudo ? `echo "sudo $*" >> ${log}; shift; exec "$@"` : 'exit 1');
    program('apt-get', `echo "apt-get $*" >> ${log}; [ "$(grep -c '^apt-get' ${log})" -gt ${aptFails} ]`);
    // Set-up goes no further than this.
    program('npm', `echo "npm $1" >> ${log}; exit 7`);
    for (const [path, mode] of [
      [folder, 0o755],
      [log, 0o666],
    ] as const)
      chmodSync(path, mode);
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/setup.mjs')], {
      encoding: 'utf8',
      env: { PATH: `${bin}:/usr/bin:/bin` },
      cwd: folder,
      ...(root && !admin ? { uid: nobody, gid: nobody } : {}),
    });
    return { status, says: stderr, calls: readFileSync(log, 'utf8').trim().split('\n').filter(Boolean) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const all = ['g++', 'cmake', 'ninja-build', 'libdnnl-dev', 'dataset-fashion-mnist'];
const needsRoot = root ? false : 'these tests run as root only';

t.test('with everything there nothing is installed', (t) => {
  const { calls } = setUp(false, { installed: all, sudo: true });
  t.strictSame(calls, ['npm ci']);
  t.end();
});

t.test('root installs what is missing, and nothing else', { skip: needsRoot }, (t) => {
  const { calls, says } = setUp(true, { installed: ['g++', 'cmake'] });
  t.strictSame(calls, ['apt-get -qq -y install ninja-build libdnnl-dev dataset-fashion-mnist', 'npm ci']);
  t.match(says, 'installing ninja-build libdnnl-dev dataset-fashion-mnist');
  t.end();
});

t.test('a stale package list is renewed', { skip: needsRoot }, (t) => {
  const { calls } = setUp(true, { installed: all.slice(1), aptFails: 1 });
  t.strictSame(calls, ['apt-get -qq -y install g++', 'apt-get -qq -y update', 'apt-get -qq -y install g++', 'npm ci']);
  t.end();
});

t.test('apt-get that fails ends with the command to try', { skip: needsRoot }, (t) => {
  const { status, says, calls } = setUp(true, { installed: all.slice(1), aptFails: 9 });
  t.equal(status, 1);
  t.match(says, 'apt-get could not install them. Try: apt-get update && apt-get install g++');
  t.notOk(calls.includes('npm ci'));
  t.end();
});

t.test('a user with sudo installs through it', (t) => {
  const { calls } = setUp(false, { installed: all.slice(0, 4), sudo: true });
  t.strictSame(calls, [
    'sudo -n true',
    'sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install dataset-fashion-mnist',
    'apt-get -qq -y install dataset-fashion-mnist',
    'npm ci',
  ]);
  t.end();
});

t.test('a user without sudo is told what to install', (t) => {
  const { status, says, calls } = setUp(false, { installed: all.slice(0, 3) });
  t.equal(status, 1);
  t.match(
    says,
    'these Debian packages are missing. Install them with: sudo apt-get install libdnnl-dev dataset-fashion',
  );
  t.strictSame(calls, []);
  t.end();
});
