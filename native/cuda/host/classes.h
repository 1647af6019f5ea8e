// Class numbers as targets, for launches (gpu/classes.h).
#pragma once
#include "gpu/classes.h"
#include "host/indices.h"
#include "host/launch.h"

namespace secateur::cuda {

template <class Args>
ClassTargets classTargets(const char* op, const Args& s) {
  return {s.target.template as<std::int32_t>(), s.weight.present ? s.weight.template as<float>() : nullptr,
          s.ignoreIndex, checkTargets(op, s.x.back(1), s.ignoreIndex)};
}

}  // namespace secateur::cuda
