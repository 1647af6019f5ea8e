// Making a Strided: axes of extent 1 go, neighbouring axes that every operand steps over alike become one.
#pragma once
#include <initializer_list>

#include "core/view.h"
#include "gpu/strided.h"

namespace secateur::cuda {

FastDivide fastDivide(std::int64_t divisor);

// Row-major strides of a tensor, in elements.
struct Strides {
  std::int64_t of[maxRank] = {};
};
Strides stridesOf(const View& v);

// Adds an axis, outermost first; `strides` are those of the operands.
void addAxis(Strided& s, std::int64_t extent, std::initializer_list<std::int64_t> strides);

// Operands that broadcast to the shape of y.
Strided broadcastTo(const View& y, std::initializer_list<const View*> operands);
// Whether an operand has the elements of y in the order of y.
bool sameElements(const View& y, std::initializer_list<const View*> operands);

}  // namespace secateur::cuda
