// Heuristics, engines, plans and their execution.
#pragma once
#include "dnnDescriptor.h"

namespace fakes {

// The configurations heuristics propose, the engine of a configuration.
std::vector<RecordPointer> derivedRecords(const Record& r, DnnAttribute a);
// An engine's notes, a plan's workspace.
void readPlanValue(const Record& r, DnnAttribute a, DnnKind kind, std::int64_t wanted, std::int64_t* got, void* to);
// Takes over which engine the plan is for.
void checkPlan(Record& r);
void executePlan(void* handle, const Record& plan, const Record& pack);

}  // namespace fakes
