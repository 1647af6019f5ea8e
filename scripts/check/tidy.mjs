// clang-tidy over the native sources, two at a time: the files compiled once and, of those compiled per instruction set,
// the AVX2 variant. A file that passed is not looked at again until it, a header it includes or the settings change.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = join(root, 'build/tidy');
const commands = JSON.parse(readFileSync(join(root, 'build/compile_commands.json'), 'utf8')).filter(
  ({ command }) => !command.includes('avx512_objects'),
);
if (commands.length === 0) throw new Error('build/compile_commands.json names no file');
mkdirSync(join(folder, 'passed'), { recursive: true });
writeFileSync(join(folder, 'compile_commands.json'), JSON.stringify(commands));

// clang has its own intrinsics but no omp.h: GCC's headers come last.
const gcc = execFileSync('g++', ['-print-file-name=include'], { encoding: 'utf8' }).trim();
const args = ['-quiet', '-p', folder, '--extra-arg=-Wno-unknown-warning-option', '--extra-arg=-idirafter'];
// __builtin_shuffle is GCC's alone; to read the code around it, its first operand has the right type.
args.push(
  `--extra-arg=${gcc}`,
  '--extra-arg=-D__builtin_shuffle(x, ...)=((void)(__VA_ARGS__), (x))',
  '--extra-arg=-Wno-unused-value',
  // GCC's attribute that names the function to free with is unknown to clang.
  '--extra-arg=-D__malloc__(...)=',
);

function addText(file, hash, seen) {
  if (seen.has(file)) return;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  hash.update(text);
  for (const [, path] of text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
    const found = [join(dirname(file), path), join(root, 'native/src', path)].find(existsSync);
    if (found !== undefined) addText(found, hash, seen);
  }
}

function tidy({ file, command }) {
  const hash = createHash('sha256').update(command).update(args.join(' '));
  hash.update(readFileSync(join(root, '.clang-tidy'), 'utf8'));
  addText(file, hash, new Set());
  const stamp = join(folder, 'passed', hash.digest('hex'));
  if (existsSync(stamp)) return Promise.resolve(true);
  return new Promise((done) => {
    execFile('clang-tidy', [...args, file], { cwd: root, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) writeFileSync(stamp, '');
      else console.log(stdout.trim() === '' ? stderr : stdout);
      done(error === null);
    });
  });
}

const waiting = [...commands];
let failed = 0;
async function work() {
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) if (!(await tidy(next))) failed++;
}
await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, work));
console.log(`${commands.length} files, ${failed} with findings`);
process.exitCode = failed > 0 ? 1 : 0;
