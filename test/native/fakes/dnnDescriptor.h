// The stand-in for cuDNN, from the bottom: descriptors that keep what was set, and refuse what the header refuses.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/cudnn.h"

namespace fakes {

using secateur::cuda::DnnAttribute;
using secateur::cuda::DnnDataType;
using secateur::cuda::DnnDescriptor;
using secateur::cuda::DnnDescriptorType;
using secateur::cuda::DnnHeuristics;
using secateur::cuda::DnnKind;
using secateur::cuda::DnnNan;
using secateur::cuda::DnnNote;
using secateur::cuda::DnnPointwiseMode;
using secateur::cuda::DnnStatus;

// Thrown anywhere below; the entry point gives the status and keeps the sentence.
struct Refusal {
  DnnStatus status;
  std::string why;
};
[[noreturn]] inline void refuse(const std::string& why) { throw Refusal{DnnStatus::badParameter, why}; }
inline void require(bool holds, const std::string& why) {
  if (!holds) refuse(why);
}

struct Record;
using RecordPointer = std::shared_ptr<Record>;

struct Record {
  DnnDescriptorType type;
  bool finalized = false;
  struct Value {
    DnnKind kind;
    std::vector<std::uint8_t> bytes;
    std::int64_t count;
    std::vector<RecordPointer> records;  // what descriptors were set: they may be destroyed meanwhile
  };
  std::map<DnnAttribute, Value> values;
  // Which engine an engine, a configuration or a plan stands for.
  int engine = -1;

  bool has(DnnAttribute a) const { return values.count(a) != 0; }
  std::vector<std::int64_t> wholes(DnnAttribute a) const;
  std::int64_t whole(DnnAttribute a) const { return wholes(a).at(0); }
  int enumerator(DnnAttribute a) const;
  bool boolean(DnnAttribute a) const;
  float real(DnnAttribute a) const;
  std::vector<void*> pointers(DnnAttribute a) const;
  const std::vector<RecordPointer>& records(DnnAttribute a) const;
  const Record& record(DnnAttribute a) const { return *records(a).at(0); }
};

std::size_t bytesOf(DnnKind kind);
// The descriptor behind a raw pointer; refuses one that does not exist.
RecordPointer recordOf(DnnDescriptor raw);

// dnnRules.cpp: refuses a value that the type does not take, and a descriptor that lacks one or contradicts itself.
void checkValue(const Record& r, DnnAttribute a, const Record::Value& value);
void checkWhole(const Record& r);
// dnnGraph.cpp: refuses operations whose tensors do not fit, and graphs whose operations do not.
void checkOperation(const Record& r);
void checkGraph(const Record& r);
bool isOperation(DnnDescriptorType type);

}  // namespace fakes
