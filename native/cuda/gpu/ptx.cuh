// The PTX instructions written by hand, portable from sm_80 on.
#pragma once
#include "core/bf16.h"
#include "gpu/params.h"

namespace secateur::cuda {

// 2^x to 2 units in the last place; results below 2^-126 become 0.
SECATEUR_GPU float exp2Approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / x to 1 unit in the last place; results below 2^-126 become 0.
SECATEUR_GPU float reciprocalApprox(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

SECATEUR_GPU unsigned sharedAddress(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane 8 i + r gives the address of row r of matrix i, and
// lane l gets elements 2 (l % 4) and the next of row l / 4 of each.
SECATEUR_GPU void loadMatrices(unsigned (&to)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(sharedAddress(row))
               : "memory");
}
// The same, each matrix transposed.
SECATEUR_GPU void loadMatricesTransposed(unsigned (&to)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(sharedAddress(row))
               : "memory");
}

// c += a b on the warp's tensor cores: a 16 x 16 and b 16 x 8 in bf16, c 16 x 8 in f32.
SECATEUR_GPU void multiplyAdd(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Two floats as bf16, rounded to the nearest: the first in the lower half.
SECATEUR_GPU unsigned bf16Pair(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// Begins to copy 16 bytes to shared memory, past the first-level cache: the first `bytes` of them from memory, zeros in
// place of the rest. They are there for this thread after a waitCopies, for others after a barrier behind it.
SECATEUR_GPU void copyAsync(void* shared, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(shared)),
               "l"(__cvta_generic_to_global(from)), "r"(bytes)
               : "memory");
}
// Closes a group of copies.
SECATEUR_GPU void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most the `pending` latest groups are still under way.
template <int pending>
SECATEUR_GPU void waitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// The same with a 16 x 32 of which two in every four columns are stored, and b 32 x 8. `meta` says which: in the first
// two of every four lanes, for columns 0 to 15 and 16 to 31, four bits a group of four columns, of row lane / 4 in the
// lower half and of row lane / 4 + 8 in the upper.
SECATEUR_GPU void multiplyAddSparse(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[4], unsigned meta) {
  asm("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, 0x0;"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(meta));
}

}  // namespace secateur::cuda
