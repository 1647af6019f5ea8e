// What the package ships: its entries, the command, and what they share, in few files (dist/bundle). Node takes a
// millisecond to open a module, which with the hundred files behind lib/index.ts would make `import` slow.
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const modules = Object.values(exports).flatMap((entry) => entry.default ?? []);
// The command runs the last one in a process of its own.
const programs = [...Object.values(bin), './dist/bundle/src/cli/probeGpu.js'];
const entries = [...modules, ...programs].map((path) => path.replace(/^\.\/dist\/bundle\/|\.js$/g, ''));

const bundle = await rollup({
  input: Object.fromEntries(entries.map((entry) => [entry, join(root, `dist/${entry}.js`)])),
  // Node's modules and npm's.
  external: /^[\w@]/,
  onLog(level, log) {
    if (level !== 'debug' && level !== 'info') throw new Error(`bundle: ${log.message}`);
  },
});
rmSync(join(root, 'dist/bundle'), { recursive: true, force: true });
await bundle.write({
  dir: join(root, 'dist/bundle'),
  entryFileNames: '[name].js',
  chunkFileNames: '[name].js',
  minifyInternalExports: false,
  // All that `import 'secateur'` needs is one file.
  manualChunks: (id) => (/dist\/lib\/(core|ops|autograd|tensor)\b/.test(id) ? 'runtime' : undefined),
});
await bundle.close();
