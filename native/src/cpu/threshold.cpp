// The magnitudes between which each weight is cut, all layers in one call.
#include "cpu/threshold.h"

#include "cpu/parallel.h"
#include "ops/threshold.h"

namespace secateur::SECATEUR_ISA {

KERNEL(threshold, F32)(const ThresholdArgs& a) {
  const auto count = static_cast<std::int64_t>(a.w.size());
  auto* layers = scratch<ThresholdLayer>(count);
  auto* fresh = scratch<ThresholdBracket>(count);
  std::int64_t largest = 0;
  for (std::int64_t l = 0; l < count; l++) {
    const View& w = a.w[static_cast<std::size_t>(l)];
    fresh[l] = {};
    ThresholdBracket* bracket = a.state.present ? a.state.as<ThresholdBracket>() + l : fresh + l;
    layers[l] = {w.as<float>(), w.size(), a.k[static_cast<std::size_t>(l)], bracket, 0, 0, 0, 0};
    largest = w.size() > largest ? w.size() : largest;
  }
  threshold(layers, static_cast<int>(count), scratch<std::uint32_t>(thresholdScratch(largest)));
  auto* levels = a.levels.as<float>();
  auto* counts = a.counts.as<std::int32_t>();
  for (std::int64_t l = 0; l < count; l++) {
    levels[3 * l] = layers[l].lower;
    levels[3 * l + 1] = layers[l].upper;
    levels[3 * l + 2] = layers[l].t;
    counts[2 * l] = static_cast<std::int32_t>(layers[l].k);
    counts[2 * l + 1] = static_cast<std::int32_t>(layers[l].ties);
  }
}

}  // namespace secateur::SECATEUR_ISA
