import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { SecateurError } from '../core/errors.js';

/** One write call takes at most 2 GiB on Linux; smaller pieces also bound the copy of a string chunk. */
const MAX_WRITE = 2 ** 30;

/**
 * The file a path finally means: a symbolic link's target (renaming over the link would cut it). Anything there that is
 * not a plain file is refused: renaming over a device such as /dev/null would replace the device.
 */
function plainTarget(file: string): string {
  let target = path.resolve(file);
  try {
    target = fs.realpathSync(target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return target;
    throw error;
  }
  if (!fs.statSync(target).isFile()) throw new Error('it exists and is not a plain file');
  return target;
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;) {
    done += fs.writeSync(fd, bytes, done, Math.min(bytes.byteLength - done, MAX_WRITE));
  }
}

/** The rename itself must reach the disk, and it lives in the folder. */
function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Says what the disk has left, where the system tells. */
function freeSpace(folder: string): string {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return `, ${bavail * bsize} bytes are free there`;
  } catch {
    return '';
  }
}

/**
 * Writes a file whole or not at all: the chunks go to a temporary file in the same folder, which is synced to disk and
 * then renamed over `file`. A reader, or a crash at any moment, sees the old content or the new, never a mixture.
 *
 * @param chunks what to write, in order.
 * @returns the number of bytes written.
 * @throws SecateurError ERR_IO (disk full, no permission, not a plain file ...) saying how many bytes were needed. The
 * old file is then untouched and the temporary one is gone.
 */
export function writeFileAtomic(file: string, chunks: readonly Uint8Array[]): number {
  const needed = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  let temporary: string | undefined;
  let fd: number | undefined;
  try {
    const target = plainTarget(file);
    const folder = path.dirname(target);
    const candidate = path.join(folder, `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
    fd = fs.openSync(candidate, 'wx');
    temporary = candidate;
    for (const chunk of chunks) writeAll(fd, chunk);
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    fd = undefined;
    fs.renameSync(candidate, target);
    temporary = undefined;
    syncFolder(folder);
    return needed;
  } catch (cause) {
    const why = (cause as Error).message;
    if (fd !== undefined) fs.closeSync(fd);
    if (temporary !== undefined) fs.rmSync(temporary, { force: true });
    throw new SecateurError(
      'ERR_IO',
      `Could not write ${file}: ${why}. It needs ${needed} bytes${freeSpace(path.dirname(path.resolve(file)))}. ` +
        `${fs.existsSync(file) ? 'The file that was there is unchanged' : 'Nothing was written'}; ` +
        'make room or choose another place and save again.',
      { path: file, bytesNeeded: needed, system: (cause as NodeJS.ErrnoException).code },
      cause,
    );
  }
}

/** Writes `value` as indented JSON, whole or not at all (see writeFileAtomic). Returns the number of bytes. */
export function writeJsonAtomic(file: string, value: unknown): number {
  return writeFileAtomic(file, [Buffer.from(`${JSON.stringify(value, null, 2)}\n`)]);
}
