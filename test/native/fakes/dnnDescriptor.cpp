#include "dnnDescriptor.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "dnnPlan.h"

namespace fakes {

namespace {

std::map<DnnDescriptor, RecordPointer>& live() {
  static auto& all = *new std::map<DnnDescriptor, RecordPointer>();
  return all;
}
std::string lastError;

// Runs an entry point's body; what it refuses becomes its status.
template <class Body>
DnnStatus guarded(const char* entry, Body body) {
  try {
    body();
    return DnnStatus::success;
  } catch (const Refusal& r) {
    lastError = std::string(entry) + ": " + r.why;
    if (r.status == DnnStatus::badParameter) std::fprintf(stderr, "fake cuDNN: %s\n", lastError.c_str());
    return r.status;
  }
}

template <class T>
std::vector<T> valuesOf(const Record& r, DnnAttribute a) {
  const auto found = r.values.find(a);
  if (found == r.values.end()) refuse("attribute " + std::to_string(static_cast<int>(a)) + " was not set");
  std::vector<T> values(static_cast<std::size_t>(found->second.count));
  if (!values.empty()) std::memcpy(values.data(), found->second.bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace

std::vector<std::int64_t> Record::wholes(DnnAttribute a) const { return valuesOf<std::int64_t>(*this, a); }
int Record::enumerator(DnnAttribute a) const { return valuesOf<int>(*this, a).at(0); }
bool Record::boolean(DnnAttribute a) const { return has(a) && valuesOf<std::uint8_t>(*this, a).at(0) != 0; }
float Record::real(DnnAttribute a) const { return valuesOf<float>(*this, a).at(0); }
std::vector<void*> Record::pointers(DnnAttribute a) const { return valuesOf<void*>(*this, a); }
const std::vector<RecordPointer>& Record::records(DnnAttribute a) const {
  require(has(a), "attribute " + std::to_string(static_cast<int>(a)) + " was not set");
  return values.at(a).records;
}

std::size_t bytesOf(DnnKind kind) {
  switch (kind) {
    case DnnKind::boolean:
    case DnnKind::character:
      return 1;
    case DnnKind::whole:
    case DnnKind::pointer:
    case DnnKind::handle:
    case DnnKind::descriptor:
      return 8;
    default:
      return 4;
  }
}

RecordPointer recordOf(DnnDescriptor raw) {
  const auto found = live().find(raw);
  if (found == live().end()) refuse("this descriptor does not exist");
  return found->second;
}

namespace {

void set(DnnDescriptor raw, DnnAttribute a, DnnKind kind, std::int64_t count, const void* of) {
  Record& r = *recordOf(raw);
  require(!r.finalized, "a descriptor was set after it was finalized");
  require(count > 0 && of != nullptr, "no value");
  Record::Value value{kind, {}, count, {}};
  value.bytes.resize(static_cast<std::size_t>(count) * bytesOf(kind));
  std::memcpy(value.bytes.data(), of, value.bytes.size());
  if (kind == DnnKind::descriptor) {
    for (std::int64_t i = 0; i < count; i++) {
      value.records.push_back(recordOf(static_cast<DnnDescriptor const*>(of)[i]));
      require(value.records.back()->finalized, "a descriptor is used before it is finalized");
    }
  }
  checkValue(r, a, value);
  r.values[a] = std::move(value);
}

void get(DnnDescriptor raw, DnnAttribute a, DnnKind kind, std::int64_t wanted, std::int64_t* got, void* to) {
  const Record& r = *recordOf(raw);
  require(r.finalized, "a descriptor is read before it is finalized");
  if (kind != DnnKind::descriptor) {
    readPlanValue(r, a, kind, wanted, got, to);
    return;
  }
  const std::vector<RecordPointer> made = derivedRecords(r, a);
  *got = static_cast<std::int64_t>(made.size());
  if (wanted == 0) return;
  *got = std::min(*got, wanted);
  for (std::int64_t i = 0; i < *got; i++) {
    // The caller brings descriptors of the right type, and they become what was asked for.
    Record& into = *recordOf(static_cast<DnnDescriptor*>(to)[i]);
    require(into.type == made[static_cast<std::size_t>(i)]->type && !into.finalized,
            "a descriptor of another type is to be filled");
    into = *made[static_cast<std::size_t>(i)];
  }
}

}  // namespace

}  // namespace fakes

#define CALL extern "C" __attribute__((visibility("default")))
using namespace fakes;

CALL void cudnnGetLastErrorString(char* text, std::size_t bytes) {
  if (bytes > 0) std::snprintf(text, bytes, "%s", lastError.c_str());
}
CALL const char* cudnnGetErrorString(DnnStatus status) {
  return status == DnnStatus::success        ? "CUDNN_STATUS_SUCCESS"
         : status == DnnStatus::notSupported ? "CUDNN_STATUS_NOT_SUPPORTED"
                                             : "CUDNN_STATUS_BAD_PARAM";
}
CALL DnnStatus cudnnBackendCreateDescriptor(DnnDescriptorType type, DnnDescriptor* descriptor) {
  return guarded("cudnnBackendCreateDescriptor", [&] {
    require(descriptor != nullptr, "nowhere to put it");
    auto record = std::make_shared<Record>();
    record->type = type;
    *descriptor = record.get();
    live().emplace(*descriptor, std::move(record));
  });
}
CALL DnnStatus cudnnBackendDestroyDescriptor(DnnDescriptor descriptor) {
  return guarded("cudnnBackendDestroyDescriptor",
                 [&] { require(live().erase(descriptor) == 1, "this descriptor does not exist"); });
}
CALL DnnStatus cudnnBackendSetAttribute(DnnDescriptor descriptor, DnnAttribute attribute, DnnKind kind,
                                        std::int64_t count, const void* of) {
  return guarded("cudnnBackendSetAttribute", [&] { set(descriptor, attribute, kind, count, of); });
}
CALL DnnStatus cudnnBackendGetAttribute(DnnDescriptor descriptor, DnnAttribute attribute, DnnKind kind,
                                        std::int64_t wanted, std::int64_t* got, void* to) {
  return guarded("cudnnBackendGetAttribute", [&] { get(descriptor, attribute, kind, wanted, got, to); });
}
CALL DnnStatus cudnnBackendFinalize(DnnDescriptor descriptor) {
  return guarded("cudnnBackendFinalize", [&] {
    const RecordPointer r = recordOf(descriptor);
    require(!r->finalized, "finalized twice");
    checkWhole(*r);
    if (isOperation(r->type)) checkOperation(*r);
    if (r->type == DnnDescriptorType::operationGraph) checkGraph(*r);
    if (r->type == DnnDescriptorType::plan) checkPlan(*r);
    r->finalized = true;
  });
}
CALL DnnStatus cudnnBackendExecute(void* handle, DnnDescriptor plan, DnnDescriptor pack) {
  return guarded("cudnnBackendExecute", [&] { executePlan(handle, *recordOf(plan), *recordOf(pack)); });
}
