// Finds the kernel of an op for the instruction set in use.
#pragma once
#include <string>
#include <vector>

#include "core/kernel.h"

namespace secateur {

extern const std::uint32_t opCount;
const char* opName(std::uint32_t op);
// The best registered kernel, or null.
KernelEntry kernelOf(std::uint32_t op);
// The best registered layout, or null.
LayoutEntry layoutOf(std::uint32_t op);
// Instruction sets this machine can run, best last; SECATEUR_ISA caps the one in use.
std::vector<std::string> availableIsas();
std::string isaInUse();
const KernelRecord* kernelsBegin();
const KernelRecord* kernelsEnd();
const char* isaName(Isa isa);
void setThreadCount(int n);

}  // namespace secateur
