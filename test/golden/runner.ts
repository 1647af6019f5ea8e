// Runs the checks over a folder of golden files: one line for each file, group of arrays and device.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setDefaultDevice } from '../../lib/core/device.js';
import { SecateurError } from '../../lib/core/errors.js';
import { Comparison, type GoldenDevice, type Row } from './comparison.js';
import { GoldenFile } from './goldenFile.js';
import { granetParts } from './granet.js';
import { tensorParts } from './opsTensor.js';
import { trainingParts } from './opsTraining.js';
import type { Part } from './part.js';
import { pdpParts } from './pdp.js';
import { resnetParts } from './resnet.js';

/** What is checked of a file, by its subject. Others are reported as not covered. */
const checks: ReadonlyMap<string, readonly Part[]> = new Map([
  ['ops', [...tensorParts, ...trainingParts]],
  ['pdp', pdpParts],
  ['granet', granetParts],
  ['resnet18', resnetParts('resnet18')],
  ['resnet50', resnetParts('resnet50')],
]);

const extension = '.safetensors';

/** The golden files below a folder, without their extension, in order of name. */
function goldenFiles(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(extension))
    .map((entry) => join(entry.parentPath, entry.name.slice(0, -extension.length)));
  if (found.length === 0) throw new SecateurError('ERR_DATA', `${folder} holds no golden file (*${extension}).`);
  return found.sort();
}

async function compareFile(file: GoldenFile, name: string, device: GoldenDevice): Promise<Row[]> {
  const present = file.groups();
  const comparison = new Comparison(file, device);
  const faults = new Map<string, string>();
  for (const { groups, run } of checks.get(file.subject) ?? []) {
    if (!groups.some((g) => present.includes(g))) continue;
    const before = setDefaultDevice(device);
    try {
      await run(comparison);
    } catch (error) {
      for (const g of groups) faults.set(g, (error as Error).message);
    } finally {
      setDefaultDevice(before);
    }
  }
  return present.map((group) => comparison.row(name, group, faults.get(group)));
}

/**
 * Compares every golden file below `folder` on the devices given. Never throws for what a file holds: a file that
 * cannot be read is one line that is off.
 *
 * @throws ERR_DATA when the folder holds no golden file
 */
export async function compareFolder(
  folder: string,
  devices: readonly GoldenDevice[],
  onRow: (row: Row) => void = () => {},
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const path of goldenFiles(folder)) {
    const name = relative(folder, path);
    for (const device of devices) {
      let found: Row[];
      let file: GoldenFile | undefined;
      try {
        file = GoldenFile.open(path);
        found = await compareFile(file, name, device);
      } catch (error) {
        const note = (error as Error).message;
        found = [{ file: name, group: '*', device, difference: null, tolerance: null, verdict: 'off', off: [], note }];
      } finally {
        file?.close();
      }
      found.forEach(onRow);
      rows.push(...found);
    }
  }
  return rows;
}
