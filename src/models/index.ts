export { resnet18, resnet20, resnet50, type ResNetOptions, type SmallResNetOptions } from './resnet.js';
