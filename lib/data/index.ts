export { loadFashionMnist, type FashionMnist, type LabelledImages } from './fashionMnist.js';
export { readIdx, type IdxArray } from './idx.js';
export { ImageLoader, type ImageBatch, type ImageLoaderOptions } from './imageLoader.js';
