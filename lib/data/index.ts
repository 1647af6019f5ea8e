export { loadFashionMnist, type FashionMnist, type LabelledImages } from './fashionMnist.js';
export { readIdx, type IdxArray } from './idx.js';
