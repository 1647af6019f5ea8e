// Binary cross-entropy from logits and its gradient.
#include "gpu/elementLoss.cuh"

namespace secateur::cuda {

SECATEUR_GPU float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// -ln sigmoid(x) is tail + max(-x, 0) and -ln sigmoid(-x) is tail + max(x, 0): nothing cancels, nothing overflows. NaN
// comes out of the tail.
SECATEUR_GPU float crossEntropy(float x, float target, float weight) {
  const float tail = log1pf(expf(-fabsf(x)));
  return weight * target * (tail + fmaxf(-x, 0.0f)) + (1.0f - target) * (tail + fmaxf(x, 0.0f));
}

SECATEUR_GPU float slope(float x, float target, float weight) {
  return (1.0f - target) * sigmoid(x) - weight * target * sigmoid(-x);
}

SECATEUR_ELEMENT_LOSS(bceWithLogits, crossEntropy, slope)

}  // namespace secateur::cuda
