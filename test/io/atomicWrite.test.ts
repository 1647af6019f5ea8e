import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import t from 'tap';
import { writeFileAtomic, writeJsonAtomic } from '../../lib/io/atomicWrite.js';
import { rawArrayOf } from '../../lib/io/rawArray.js';
import { writeSafetensors } from '../../lib/io/safetensors.js';

const folder = t.testdir();
const root = path.resolve(import.meta.dirname, '../../..');

t.test('a failed save leaves the old file', async (t) => {
  const kept = path.join(folder, 'kept.safetensors');
  writeSafetensors(kept, [['w', rawArrayOf(Float32Array.of(42), [1])]]);
  const before = fs.readFileSync(kept);
  // A file-size limit (here 8 blocks) makes writing fail part of the way, as a full disk does.
  const script = `
    import { rawArrayOf } from ${JSON.stringify(path.join(root, 'dist/lib/io/rawArray.js'))};
    import { writeSafetensors } from ${JSON.stringify(path.join(root, 'dist/lib/io/safetensors.js'))};
    try {
      writeSafetensors(${JSON.stringify(kept)}, [['w', rawArrayOf(new Float32Array(100000), [100000])]]);
    } catch (error) {
      process.stdout.write(JSON.stringify({ code: error.code, message: error.message, data: error.data }));
    }`;
  const command = 'ulimit -f 8; exec "$0" --input-type=module -e "$1"';
  const child = spawnSync('sh', ['-c', command, process.execPath, script], { encoding: 'utf8' });
  t.equal(child.status, 0, child.stderr);
  const failure = JSON.parse(child.stdout) as {
    code: string;
    message: string;
    data: { bytesNeeded: number; system: string };
  };
  t.equal(failure.code, 'ERR_IO');
  t.equal(failure.data.system, 'EFBIG');
  t.ok(failure.data.bytesNeeded > 400_000);
  t.match(failure.message, /kept\.safetensors: EFBIG.*It needs 4\d{5} bytes.*The file that was there is unchanged/);
  t.strictSame(fs.readFileSync(kept), before, 'the old file is intact');
  t.strictSame(
    fs.readdirSync(folder).filter((name) => name.includes('.tmp')),
    [],
    'no temporary file is left',
  );

  t.throws(() => writeFileAtomic('/dev/full', [Buffer.from('x')]), { code: 'ERR_IO', message: /not a plain file/ });
  t.throws(() => writeFileAtomic(path.join(folder, 'no/such/folder'), [Buffer.from('x')]), {
    code: 'ERR_IO',
    message: /ENOENT.*needs 1 bytes.*Nothing was written/,
  });
  const link = path.join(folder, 'link');
  fs.symlinkSync(path.join(folder, 'target.json'), link);
  writeJsonAtomic(path.join(folder, 'target.json'), { a: 1 });
  writeJsonAtomic(link, { a: 2 });
  t.ok(fs.lstatSync(link).isSymbolicLink(), 'a link stays a link');
  t.strictSame(JSON.parse(fs.readFileSync(path.join(folder, 'target.json'), 'utf8')), { a: 2 });
});
