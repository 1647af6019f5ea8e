// Squared error and its gradient.
#include "gpu/elementLoss.cuh"

namespace secateur::cuda {

SECATEUR_GPU float squaredError(float x, float target, float) { return (x - target) * (x - target); }
SECATEUR_GPU float slope(float x, float target, float) { return 2.0f * (x - target); }

SECATEUR_ELEMENT_LOSS(mseLoss, squaredError, slope)

}  // namespace secateur::cuda
