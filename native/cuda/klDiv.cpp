#include "klDiv.h"

#include "host/lines.h"
#include "host/lossTotal.h"
#include "ops/klDiv.h"

CUDA_IMAGE(klDiv)

namespace secateur::cuda {

// The loss is the mean over the rows, times the temperature's square.
KERNEL(klDiv, F32 | BF16)(const KlDivArgs& s) {
  static Kernels forward(images::klDiv, "klDiv");
  const std::int64_t rows = s.stats.size() / 4;
  const LineLaunch l = lineLaunch(rows, s.student.back(1), s.student.dtype, 2);
  auto* each = scratch<float>(rows);
  launch(forward[s.student.dtype], l.blocks, l.threads,
         KlDivParams{s.student.data, s.teacher.data, l.lines, static_cast<float>(1.0 / s.temperature),
                     s.stats.as<float>(), each},
         l.shared);
  const auto count = static_cast<float>(static_cast<double>(rows) / (s.temperature * s.temperature));
  launchLossTotal({each, nullptr, rows, count, s.loss.as<float>(), nullptr});
}

KERNEL(klDivGrad, F32 | BF16)(const KlDivGradArgs& s) {
  static Kernels backward(images::klDiv, "klDivGrad");
  const std::int64_t rows = s.stats.size() / 4;
  const LineLaunch l = lineLaunch(rows, s.student.back(1), s.student.dtype, 0);
  launch(backward[s.student.dtype], l.blocks, l.threads,
         KlDivGradParams{s.student.data, s.teacher.data, l.lines, static_cast<float>(1.0 / s.temperature),
                         s.stats.as<float>(), s.g.as<float>(),
                         static_cast<float>(s.temperature / static_cast<double>(rows)), s.dx.data});
}

}  // namespace secateur::cuda
