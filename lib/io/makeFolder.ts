import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * Makes a folder and those above it that are missing, one by one: Node's own way to do that never ends where the system
 * refuses in the manner of /proc. Throws what the system says.
 */
export function makeFolder(folder: string): void {
  const at = path.resolve(folder);
  if (fs.statSync(at, { throwIfNoEntry: false })?.isDirectory() === true) return;
  if (!fs.existsSync(at)) makeFolder(path.dirname(at));
  fs.mkdirSync(at);
}
