#include "vendor/descriptor.h"

#include "core/error.h"

namespace secateur::cuda::dnn {

namespace {

const Cudnn& api() { return cudnn().table; }

// A bool is one byte here; cuDNN takes it as such.
static_assert(sizeof(bool) == 1, "cuDNN's booleans are bytes");

}  // namespace

void check(DnnStatus status, const char* what) {
  if (status == DnnStatus::success) return;
  char detail[512] = {};
  api().getLastErrorString(detail, sizeof(detail));
  const std::string text = std::string(what) + ": " + api().getErrorString(status) + " (" +
                           std::to_string(static_cast<int>(status)) + ") " + detail;
  if (static_cast<int>(status) / 1000 == static_cast<int>(DnnStatus::notSupported) / 1000) throw Unsupported(text);
  throw Error("ERR_CUDA",
              "cuDNN " + cudnn().library.version + ", " + text + ". SECATEUR_LIBCUDNN=none does without it.");
}

Descriptor::Descriptor(DnnDescriptorType type) { check(api().createDescriptor(type, &raw_), "a new descriptor"); }

Descriptor::~Descriptor() {
  if (raw_ != nullptr) api().destroyDescriptor(raw_);
}

Descriptor& Descriptor::setValues(DnnAttribute attribute, DnnKind kind, std::int64_t count, const void* of) {
  const DnnStatus status = api().setAttribute(raw_, attribute, kind, count, of);
  if (status != DnnStatus::success) check(status, ("attribute " + std::to_string(static_cast<int>(attribute))).c_str());
  return *this;
}

Descriptor& Descriptor::set(DnnAttribute attribute, std::int64_t value) {
  return setValues(attribute, DnnKind::whole, 1, &value);
}
Descriptor& Descriptor::set(DnnAttribute attribute, const std::vector<std::int64_t>& values) {
  return setValues(attribute, DnnKind::whole, static_cast<std::int64_t>(values.size()), values.data());
}
Descriptor& Descriptor::set(DnnAttribute attribute, float value) {
  return setValues(attribute, DnnKind::real, 1, &value);
}
Descriptor& Descriptor::set(DnnAttribute attribute, bool value) {
  return setValues(attribute, DnnKind::boolean, 1, &value);
}
Descriptor& Descriptor::set(DnnAttribute attribute, const std::string& text) {
  return setValues(attribute, DnnKind::character, static_cast<std::int64_t>(text.size()) + 1, text.c_str());
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnHandle handle) {
  return setValues(attribute, DnnKind::handle, 1, &handle);
}
Descriptor& Descriptor::set(DnnAttribute attribute, void* pointer) {
  return setValues(attribute, DnnKind::pointer, 1, &pointer);
}
Descriptor& Descriptor::set(DnnAttribute attribute, const std::vector<void*>& pointers) {
  return setValues(attribute, DnnKind::pointer, static_cast<std::int64_t>(pointers.size()), pointers.data());
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnDataType type) {
  return setValues(attribute, DnnKind::dataType, 1, &type);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnConvolutionMode mode) {
  return setValues(attribute, DnnKind::convolutionMode, 1, &mode);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnPointwiseMode mode) {
  return setValues(attribute, DnnKind::pointwiseMode, 1, &mode);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnReduction reduction) {
  return setValues(attribute, DnnKind::reductionOperator, 1, &reduction);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnNorm norm) {
  return setValues(attribute, DnnKind::normMode, 1, &norm);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnNormPhase phase) {
  return setValues(attribute, DnnKind::normPhase, 1, &phase);
}
Descriptor& Descriptor::set(DnnAttribute attribute, DnnNan nan) { return setValues(attribute, DnnKind::nan, 1, &nan); }
Descriptor& Descriptor::set(DnnAttribute attribute, DnnHeuristics mode) {
  return setValues(attribute, DnnKind::heuristicsMode, 1, &mode);
}
Descriptor& Descriptor::set(DnnAttribute attribute, const Descriptor& other) {
  return setValues(attribute, DnnKind::descriptor, 1, &other.raw_);
}
Descriptor& Descriptor::set(DnnAttribute attribute, const std::vector<Descriptor>& others) {
  std::vector<DnnDescriptor> raws;
  raws.reserve(others.size());
  for (const Descriptor& d : others) raws.push_back(d.raw_);
  return setValues(attribute, DnnKind::descriptor, static_cast<std::int64_t>(raws.size()), raws.data());
}

Descriptor& Descriptor::finalize(const char* what) {
  check(api().finalize(raw_), what);
  return *this;
}

std::int64_t Descriptor::whole(DnnAttribute attribute) const {
  std::int64_t value = 0, got = 0;
  check(api().getAttribute(raw_, attribute, DnnKind::whole, 1, &got, &value), "reading a number");
  return value;
}

std::vector<DnnNote> Descriptor::notes(DnnAttribute attribute) const {
  std::vector<DnnNote> notes(static_cast<std::size_t>(DnnNote::count));
  std::int64_t got = 0;
  check(api().getAttribute(raw_, attribute, DnnKind::note, static_cast<std::int64_t>(notes.size()), &got, notes.data()),
        "reading an engine's notes");
  notes.resize(static_cast<std::size_t>(got));
  return notes;
}

std::vector<Descriptor> Descriptor::descriptors(DnnAttribute attribute, DnnDescriptorType type) const {
  std::int64_t count = 0;
  check(api().getAttribute(raw_, attribute, DnnKind::descriptor, 0, &count, nullptr), "counting descriptors");
  std::vector<Descriptor> made;
  std::vector<DnnDescriptor> raws;
  for (std::int64_t i = 0; i < count; i++) raws.push_back(made.emplace_back(type).raw_);
  if (count == 0) return made;
  check(api().getAttribute(raw_, attribute, DnnKind::descriptor, count, &count, raws.data()), "reading descriptors");
  made.erase(made.begin() + count, made.end());
  return made;
}

}  // namespace secateur::cuda::dnn
