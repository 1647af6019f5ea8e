// The rules of the house (ARCHITECTURE.md). Each fails when it has nothing to look at: a rule whose files have moved
// away must not keep passing.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t from 'tap';
import { native } from '../lib/core/native.js';
import type { AnyOp } from '../lib/core/op.js';
import { type Arrow, exportedFunctions, filesIn, importsOf, includesOf, read, root } from './house/tree.js';
import { loadStems } from './ops/specs.js';

const stems = await loadStems();

/** Holds for every item, or lists each fault. */
function rule<T>(name: string, items: readonly T[], faults: (item: T) => readonly string[], skip?: string): void {
  t.test(name, { skip: skip ?? false }, (t) => {
    t.ok(items.length > 0, 'the rule has something to look at');
    t.strictSame(items.flatMap(faults), [], name);
    t.end();
  });
}

const stemOf = (file: string): string => basename(file).replace(/\.[^.]+$/, '');
const libAndSrc = [...filesIn('lib', ['.ts']), ...filesIn('src', ['.ts'])];
const folders = [...new Set(libAndSrc.map(dirname))];
const isGenerated = (file: string): boolean => /^native\/src\/(ops\/|ops_generated\.h)/.test(file);
const nativeFiles = filesIn('native', ['.cpp', '.h', '.cu', '.cuh']).filter((f) => !isGenerated(f));
const written = [
  ...libAndSrc,
  ...nativeFiles,
  ...['test', 'bench', 'scripts'].flatMap((d) => filesIn(d, ['.ts', '.mjs', '.py', '.cpp', '.h', '.sh'])),
];

rule('no file has more than 400 lines', written, (file) => {
  const lines = read(file).trimEnd().split('\n').length;
  return lines > 400 ? [`${file} has ${lines}`] : [];
});

rule('every file has a name that says what it holds', written, (file) =>
  /^(utils?|helpers?|common|misc|base)(\.|$)/i.test(basename(file)) ? [file] : [],
);

// Ops are one file a stem, found by name: that folder may grow with the number of ops.
rule('no folder has more than 40 files, the ops excepted', folders, (folder) => {
  const count = libAndSrc.filter((file) => dirname(file) === folder).length;
  return count > (folder === 'lib/ops' ? 80 : 40) ? [`${folder} has ${count}`] : [];
});

rule('folders are at most three deep', folders, (folder) => (folder.split('/').length > 3 ? [folder] : []));

// Who may import whom, lowest first. A part may import itself and what is listed.
const runtime = ['lib/core', 'lib/ops', 'lib/autograd', 'lib/tensor.ts'];
const training = [...runtime, 'lib/nn', 'lib/optim', 'lib/data', 'lib/io', 'lib/train'];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'lib/core': [],
  'lib/ops': ['lib/core'],
  'lib/autograd': ['lib/core', 'lib/ops'],
  'lib/tensor.ts': ['lib/core', 'lib/ops', 'lib/autograd'],
  'lib/nn': runtime,
  'lib/optim': runtime,
  'lib/data': runtime,
  'lib/io': runtime,
  'lib/train': training,
  'src/models': training,
  'src/pdp': training,
  'lib/index.ts': [...training, 'src/models', 'src/pdp'],
  'src/cli': [...training, 'src/models', 'src/pdp', 'lib/index.ts'],
};
const partOf = (file: string): string => {
  const two = file.split('/').slice(0, 2).join('/');
  return two in mayImport ? two : file;
};
const arrows: Arrow[] = libAndSrc.flatMap(importsOf);

rule('imports only point down', arrows, ({ from, to }) => {
  const [part, target] = [partOf(from), partOf(to)];
  const allowed = mayImport[part];
  if (allowed === undefined) return [`${from}: no rule says what ${part} may import`];
  return target === part || allowed.includes(target) ? [] : [`${from} imports ${to}`];
});

rule('no import leads back to its file', libAndSrc, (start) => {
  const seen = new Set<string>();
  const open = [start];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const { from, to, typeOnly } of arrows) {
      if (from !== file || typeOnly || seen.has(to)) continue;
      if (to === start) return [`${start} is imported by ${from}, which it imports`];
      seen.add(to);
      open.push(to);
    }
  }
  return [];
});

const mayInclude: Readonly<Record<string, readonly string[]>> = {
  'native/src/core': ['native/src/ops', 'native/src/ops_generated.h'],
  'native/src/ops': ['native/src/core'],
  'native/src/cpu': ['native/src/core', 'native/src/ops'],
  'native/src/napi': ['native/src/core', 'native/src/ops', 'native/src/ops_generated.h', 'native/src/cpu'],
  'native/cuda': ['native/src/core', 'native/src/ops', 'native/src/ops_generated.h'],
};
const nativePart = (file: string): string =>
  Object.keys(mayInclude).find((part) => file.startsWith(`${part}/`)) ?? file;

rule('native parts include only what lies below; cpu/ and cuda/ never each other', nativeFiles, (file) => {
  const part = nativePart(file);
  const allowed = mayInclude[part];
  if (allowed === undefined) return [`${file}: no rule says what ${part} may include`];
  return includesOf(file)
    .filter((to) => nativePart(to) !== part && !allowed.includes(nativePart(to)))
    .map((to) => `${file} includes ${to}`);
});

rule('native code does not know what a pruner is', nativeFiles, (file) => (/pruner/i.test(read(file)) ? [file] : []));

rule(
  'the library neither ends the process nor writes to the console',
  libAndSrc.filter((file) => !file.startsWith('src/cli/')),
  (file) => (/\bprocess\.exit\b|\bconsole\.\w/.test(read(file)) ? [file] : []),
);

// What is loaded natively comes from one place.
rule('only lib/core loads the addon', libAndSrc, (file) =>
  /\.node['"`]/.test(read(file)) && !file.startsWith('lib/core/') ? [file] : [],
);

rule('layers compute with weight.effective(), never with the raw weight', filesIn('lib/nn', ['.ts']), (file) =>
  [...read(file).matchAll(/\bthis(?:\.\w+)*\.weight\b(?!\.effective\(\)|\.(?:shape|size|rank)\b|\s*=[^=]).*/g)].map(
    ([line]) => `${file}: ${line}`,
  ),
);

const ops = stems.flatMap(({ ops }) => ops);
const withKernel = (op: AnyOp): boolean => op.view === undefined;
const kernels = native.kernels();
const bits = { f32: 1, bf16: 2, i32: 4, u8: 8 } as const;
const typesOf = (mask: number): string[] => Object.entries(bits).flatMap(([t, bit]) => ((mask & bit) !== 0 ? [t] : []));

rule('every op has a kernel for each of its dtypes, in each instruction set', ops.filter(withKernel), (op) =>
  ['avx2', 'avx512'].flatMap((isa) => {
    const mine = kernels.filter((k) => k.op === op.name && (k.isa === isa || k.isa === 'baseline'));
    const have = new Set(mine.flatMap((k) => typesOf(k.dtypes)));
    return op.plan.types.filter((type) => !have.has(type)).map((type) => `${op.name} has no ${type} kernel for ${isa}`);
  }),
);

rule('every kernel belongs to an op and to a dtype the op declares', kernels, ({ op: name, isa, dtypes }) => {
  const op = ops.find((o) => o.name === name);
  if (op === undefined) return [`${name} (${isa}) has a kernel and no declaration in lib/ops`];
  return typesOf(dtypes)
    .filter((type) => !op.plan.types.some((t) => t === type))
    .map((type) => `${name} has a ${type} kernel for ${isa}, but does not declare ${type}`);
});

rule('an op is the same stem in lib/ops and native/src/cpu', stems, ({ stem, ops }) => {
  if (!ops.some(withKernel)) return [];
  const places = [`native/src/cpu/${stem}.cpp`, `native/src/cpu/dnnl/${stem}.cpp`];
  return places.some((file) => nativeFiles.includes(file))
    ? []
    : [`lib/ops/${stem}.ts has neither ${places.join(' nor ')}`];
});

const noBackend = existsSync(join(root, 'build/Release/libsecateur_cuda.so'))
  ? undefined
  : 'the build found no nvcc: there is no CUDA backend';
const cudaKernels = noBackend === undefined ? native.cudaKernels() : [];

rule(
  'every op has a CUDA kernel for each of its dtypes',
  ops.filter(withKernel),
  (op) => {
    const have = new Set(cudaKernels.filter((k) => k.op === op.name).flatMap((k) => typesOf(k.dtypes)));
    return op.plan.types.filter((type) => !have.has(type)).map((type) => `${op.name} has no ${type} kernel for CUDA`);
  },
  noBackend,
);

rule(
  'every CUDA kernel belongs to an op and to a dtype the op declares',
  cudaKernels,
  ({ op: name, dtypes }) => {
    const types: readonly string[] = ops.find((o) => o.name === name)?.plan.types ?? [];
    return typesOf(dtypes)
      .filter((type) => !types.includes(type))
      .map((type) => `${name} has a ${type} kernel for CUDA; lib/ops declares no such op and dtype`);
  },
  noBackend,
);

rule('an op is the same stem in lib/ops and native/cuda', stems, ({ stem, ops }) => {
  if (!ops.some(withKernel)) return [];
  const file = `native/cuda/${stem}.cpp`;
  return nativeFiles.includes(file) ? [] : [`lib/ops/${stem}.ts has no ${file}`];
});

rule('a file of CUDA kernels is launched from the file of its stem', filesIn('native/cuda', ['.cu']), (file) => {
  const places = [`native/cuda/${stemOf(file)}.cpp`, `native/cuda/host/${stemOf(file)}.cpp`];
  return places.some((place) => nativeFiles.includes(place)) ? [] : [`${file}: no ${places.join(', no ')}`];
});

rule(
  'a file with kernels has the name of their stem',
  nativeFiles.filter(
    (file) => file.endsWith('.cpp') && includesOf(file).some((to) => to.startsWith('native/src/ops/')),
  ),
  (file) =>
    includesOf(file)
      .filter((to) => to.startsWith('native/src/ops/') && stemOf(to) !== stemOf(file))
      .map((to) => `${file} includes ${to}: kernels of ${stemOf(to)} belong in ${stemOf(to)}.cpp`),
);

rule('every op can be reached: as a method, from lib/index.ts, or through a layer above', stems, ({ stem }) => {
  const file = `lib/ops/${stem}.ts`;
  const users = arrows.filter(
    ({ from, to }) => to === file && (from === 'lib/ops/index.ts' || !from.startsWith('lib/ops/')),
  );
  return users.length > 0 ? [] : [`nobody imports ${file}: add its line to lib/ops/index.ts`];
});

rule('every public function of an op has a docstring', filesIn('lib/ops', ['.ts']), (file) =>
  exportedFunctions(file).flatMap(({ name, documented }) => (documented ? [] : [`${file}: ${name}`])),
);

// An inline function of the standard library that was compiled for AVX-512 may be the one copy the linker keeps, and
// then it crashes on a machine with AVX2 only: whatever these objects may share must carry the name of its set.
const objects = ['avx2', 'avx512'].flatMap((isa) => filesIn(`build/CMakeFiles/${isa}_objects.dir`, ['.o']));
if (objects.length === 0) {
  t.test('per-instruction-set objects share no symbol', { skip: 'build/ holds no objects' }, (t) => {
    t.end();
  });
} else {
  rule('per-instruction-set objects share no symbol', objects, (file) => {
    const isa = file.includes('avx512_objects') ? '6avx512' : '4avx2';
    const source = file.replace(/^.*_objects\.dir\//, '').replace(/\.o$/, '');
    if (!existsSync(join(root, source))) return []; // left over from a file that is gone
    return execFileSync('nm', ['--defined-only', '--format=posix', join(root, file)], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([name = '', type = '']) => 'WVu'.includes(type) && type !== '' && !name.includes(isa))
      .filter(([name = '']) => !name.startsWith('DW.ref.')) // a pointer to the exception handler: data, no code
      .map(([name]) => `${file} defines ${name}`);
  });
}
