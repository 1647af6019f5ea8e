#pragma once
#include "gpu/lossTotal.h"

namespace secateur::cuda {

void launchLossTotal(const LossTotalParams& p);

}  // namespace secateur::cuda
