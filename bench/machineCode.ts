// What the machine code of a kernel says about it, read from the cubins the build leaves beside the images: an ELF file
// with one section of code a kernel, and `.nv.info`, a list of attributes (one byte format, one byte name, two bytes
// value or length). Opcodes and fields of instructions are not documented by the vendor; those used here were read off
// disassemblies for sm_80, sm_90, sm_100 and sm_120, where they agree.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SecateurError } from '../lib/core/errors.js';

/** One kernel for one architecture. */
export interface KernelCode {
  readonly kernel: string;
  /** The .cu file it comes from. */
  readonly stem: string;
  /** 80, 90, ... */
  readonly arch: number;
  readonly registers: number;
  /** Local memory of a thread: spilled registers, and arrays that found no registers. */
  readonly spillBytes: number;
  /** Shared memory of a block that is known at compile time. */
  readonly sharedBytes: number;
  /** Bytes of the kernel's parameters. */
  readonly paramBytes: number;
  /** Widest access of global memory, in bits; 0 where there is none. Asynchronous copies count as loads. */
  readonly loadBits: number;
  readonly storeBits: number;
  /** Instructions, by what the rules of the house ask about. */
  readonly counts: Readonly<Record<Watched, number>>;
}

export type Watched = 'localLoad' | 'localStore' | 'double' | 'tensor' | 'sparseTensor' | 'special' | 'all';

const instructionBytes = 16;
// The low nine bits of an instruction say what it does; three more say what kinds of operands it has.
const opcode = {
  load: 0x180, // the kind of memory is found out by the address
  loadGlobal: 0x181,
  copyToShared: 0x1ae,
  store: 0x185,
  storeGlobal: 0x186,
  loadLocal: 0x183,
  storeLocal: 0x187,
  doubleMultiply: 0x028,
  doubleAdd: 0x029,
  doubleFma: 0x02b,
  matrix: 0x03c,
  special: 0x108,
} as const;
const sparseBit = 1 << 14;
// Width of a global access, by the field of its instruction: bits 9 to 11 of the upper half, and for asynchronous copies
// from sm_100 on bits 10 to 12.
const widths = [8, 8, 16, 16, 32, 64, 128, 128] as const;

interface Section {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: number;
  readonly link: number;
}

const nobits = 8;
// From sm_90 on the section of shared memory begins with what the system keeps for itself.
const reservedShared = 1024;

/** Reads one cubin. */
export function readCubin(file: string, stem: string): KernelCode[] {
  const bytes = readFileSync(file);
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46)
    throw new SecateurError('ERR_DATA', `${file} is no ELF file. Build again: npm run build.`);
  const arch = (bytes.readUInt32LE(0x30) >>> 8) & 0xff;
  const all = sections(bytes);
  const named = new Map(all.map((s) => [s.name, s]));
  const resources = attributes(bytes, named.get('.nv.info'));
  const symbols = named.get('.symtab');
  const names = symbols === undefined ? [] : symbolNames(bytes, symbols, all[symbols.link] as Section);
  const about = (attribute: number, kernel: string): number =>
    resources.find((a) => a.name === attribute && a.words.length === 2 && names[a.words[0] as number] === kernel)
      ?.words[1] ?? 0;
  return all
    .filter((s) => s.name.startsWith('.text.'))
    .map((code) => {
      const kernel = code.name.slice('.text.'.length);
      const own = attributes(bytes, named.get(`.nv.info.${kernel}`));
      return {
        kernel,
        stem,
        arch,
        registers: about(0x2f, kernel),
        spillBytes: about(0x11, kernel),
        sharedBytes: Math.max(0, (named.get(`.nv.shared.${kernel}`)?.size ?? 0) - (arch >= 90 ? reservedShared : 0)),
        paramBytes: own.find((a) => a.name === 0x19)?.value ?? 0,
        ...instructions(bytes, code, arch),
      };
    });
}

/** Every kernel of the last build, for every architecture it was compiled for. */
export function builtKernels(buildFolder: string): KernelCode[] {
  const images = join(buildFolder, 'images');
  if (!existsSync(images))
    throw new SecateurError(
      'ERR_CUDA_UNAVAILABLE',
      `there is no machine code of kernels in ${images}: the build found no nvcc. Install the CUDA toolkit 13 and run npm run build.`,
    );
  return readdirSync(images, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.cubin'))
    .flatMap((f) => readCubin(join(images, f), f.replace(/^.*\//, '').replace(/\..*$/, '')));
}

function sections(bytes: Buffer): Section[] {
  const at = Number(bytes.readBigUInt64LE(0x28));
  const size = bytes.readUInt16LE(0x3a);
  const count = bytes.readUInt16LE(0x3c);
  const raw = Array.from({ length: count }, (_, i) => {
    const o = at + i * size;
    return {
      nameAt: bytes.readUInt32LE(o),
      type: bytes.readUInt32LE(o + 4),
      offset: Number(bytes.readBigUInt64LE(o + 24)),
      size: Number(bytes.readBigUInt64LE(o + 32)),
      link: bytes.readUInt32LE(o + 40),
    };
  });
  const strings = raw[bytes.readUInt16LE(0x3e)]?.offset ?? 0;
  return raw.map(({ nameAt, ...rest }) => ({ ...rest, name: text(bytes, strings + nameAt) }));
}

function text(bytes: Buffer, at: number): string {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}

function symbolNames(bytes: Buffer, symbols: Section, strings: Section): string[] {
  const names: string[] = [];
  for (let o = symbols.offset; o < symbols.offset + symbols.size; o += 24)
    names.push(text(bytes, strings.offset + bytes.readUInt32LE(o)));
  return names;
}

interface Attribute {
  readonly name: number;
  /** For those whose value stands in the entry itself. */
  readonly value: number;
  readonly words: readonly number[];
}

function attributes(bytes: Buffer, section: Section | undefined): Attribute[] {
  const found: Attribute[] = [];
  if (section === undefined || section.type === nobits) return found;
  const withPayload = 4;
  for (let o = section.offset; o + 4 <= section.offset + section.size;) {
    const format = bytes[o] as number;
    const value = bytes.readUInt16LE(o + 2);
    const length = format === withPayload ? value : 0;
    const words = Array.from({ length: length >> 2 }, (_, i) => bytes.readUInt32LE(o + 4 + 4 * i));
    found.push({ name: bytes[o + 1] as number, value, words });
    o += 4 + length;
  }
  return found;
}

function instructions(
  bytes: Buffer,
  code: Section,
  arch: number,
): Pick<KernelCode, 'loadBits' | 'storeBits' | 'counts'> {
  const counts = { localLoad: 0, localStore: 0, double: 0, tensor: 0, sparseTensor: 0, special: 0, all: 0 };
  let loadBits = 0;
  let storeBits = 0;
  for (let o = code.offset; o + instructionBytes <= code.offset + code.size; o += instructionBytes) {
    const high = bytes.readUInt32LE(o + 8);
    const width = (shift: number): number => widths[(high >>> shift) & 7] as number;
    counts.all++;
    switch (bytes.readUInt16LE(o) & 0x1ff) {
      case opcode.load:
      case opcode.loadGlobal:
        loadBits = Math.max(loadBits, width(9));
        break;
      case opcode.copyToShared:
        loadBits = Math.max(loadBits, width(arch >= 100 ? 10 : 9));
        break;
      case opcode.store:
      case opcode.storeGlobal:
        storeBits = Math.max(storeBits, width(9));
        break;
      case opcode.loadLocal:
        counts.localLoad++;
        break;
      case opcode.storeLocal:
        counts.localStore++;
        break;
      case opcode.doubleMultiply:
      case opcode.doubleAdd:
      case opcode.doubleFma:
        counts.double++;
        break;
      case opcode.matrix:
        counts.tensor++;
        if ((high & sparseBit) !== 0) counts.sparseTensor++;
        break;
      case opcode.special:
        counts.special++;
        break;
      default:
    }
  }
  return { loadBits, storeBits, counts };
}
