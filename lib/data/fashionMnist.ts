import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { SecateurError, checkOptions } from '../core/errors.js';
import { readIdx } from './idx.js';

/** Images and their labels. Image i is the bytes `[i * height * width, (i + 1) * height * width)`, one grey channel. */
export interface LabelledImages {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

export interface FashionMnist {
  readonly train: LabelledImages;
  readonly test: LabelledImages;
}

const CLASSES = 10;
const PACKAGE = 'dataset-fashion-mnist';
const FILES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

/** The path of one of the four files in a folder, unpacked or gzip; undefined when neither is there. */
function fileIn(folder: string, name: string): string | undefined {
  return [name, `${name}.gz`].map((file) => path.join(folder, file)).find((file) => fs.existsSync(file));
}

/** Where Debian's package put the files, as far as dpkg knows; where there is no dpkg, nothing. */
function packageFolders(): string[] {
  const listed = spawnSync('dpkg', ['-L', PACKAGE], { encoding: 'utf8' });
  const files = listed.status === 0 ? listed.stdout.split('\n') : [];
  return [...new Set(files.filter((file) => file.includes(FILES[0])).map((file) => path.dirname(file)))];
}

/** The four files' paths in the first folder that has all of them. */
function findFiles(folders: readonly string[]): string[] {
  for (const folder of folders) {
    const found = FILES.map((name) => fileIn(folder, name)).filter((file) => file !== undefined);
    if (found.length === FILES.length) return found;
  }
  const searched = folders.length > 0 ? ` (looked in ${folders.join(', ')})` : '';
  throw new SecateurError(
    'ERR_DATA',
    `The Fashion-MNIST files are missing${searched}; install with: apt-get install ${PACKAGE}, ` +
      `or give dataDir (--data-dir), a folder with ${FILES.join(', ')} (each plain or .gz).`,
    { files: FILES, folders },
  );
}

function loadPart(imageFile: string, labelFile: string): LabelledImages {
  const images = readIdx(imageFile, { dims: 3 });
  const labels = readIdx(labelFile, { dims: 1 });
  const [count = 0, height = 0, width = 0] = images.shape;
  if (images.data.length === 0)
    throw new SecateurError('ERR_DATA', `${imageFile} holds no images (${images.shape.join(' x ')}).`);
  if (labels.shape[0] !== count) {
    throw new SecateurError(
      'ERR_DATA',
      `${imageFile} has ${count} images, ${labelFile} has ${labels.shape[0]} labels; they have to be equal.`,
    );
  }
  const wrong = labels.data.findIndex((label) => label >= CLASSES);
  if (wrong >= 0) {
    throw new SecateurError(
      'ERR_DATA',
      `${labelFile}: label ${labels.data[wrong]} of image ${wrong} is not in 0..${CLASSES - 1}.`,
    );
  }
  return { images: images.data, labels: labels.data, count, height, width };
}

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images, 28 x 28, grey, 10 classes (Xiao, Rasul and Vollgraf 2017,
 * arXiv:1708.07747). Any set in the same four idx files (MNIST itself) loads too.
 *
 * @param options.dataDir the folder with the four files, plain or .gz; without it the folder of the Debian package
 * `dataset-fashion-mnist`.
 * @throws SecateurError ERR_DATA when files are missing (the message says how to get them) or are not what they should be.
 */
export function loadFashionMnist(options: { dataDir?: string } = {}): FashionMnist {
  checkOptions('loadFashionMnist', options, ['dataDir']);
  const folders = options.dataDir === undefined ? packageFolders() : [options.dataDir];
  const [trainImages = '', trainLabels = '', testImages = '', testLabels = ''] = findFiles(folders);
  const train = loadPart(trainImages, trainLabels);
  const test = loadPart(testImages, testLabels);
  if (train.height !== test.height || train.width !== test.width) {
    throw new SecateurError(
      'ERR_DATA',
      `${trainImages} has images of ${train.height} x ${train.width}, ${testImages} of ${test.height} x ${test.width}; they have to be equal.`,
    );
  }
  return { train, test };
}
