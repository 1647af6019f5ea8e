#include "ops/cast.h"
#include "host/pointwise.h"

CUDA_IMAGE(cast)

namespace secateur::cuda {

KERNEL(cast, ANY)(const CastArgs& a) {
  static Kernels toF32(images::cast, "toF32");
  static Kernels toBf16(images::cast, "toBf16");
  launchUnary((a.y.dtype == DType::bf16 ? toBf16 : toF32)[a.x.dtype], a.x, a.y);
}

KERNEL(castToInteger, ANY)(const CastToIntegerArgs& a) {
  static Kernels toI32(images::cast, "toI32");
  static Kernels toU8(images::cast, "toU8");
  launchUnary((a.y.dtype == DType::u8 ? toU8 : toI32)[a.x.dtype], a.x, a.y);
}

}  // namespace secateur::cuda
