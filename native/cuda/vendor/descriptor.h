// cuDNN's descriptors: owned, typed, and with errors that say what was refused.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "api/cudnn.h"

namespace secateur::cuda::dnn {

// cuDNN has nothing for this graph on this device: own kernels do it.
class Unsupported : public std::exception {
 public:
  explicit Unsupported(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// Throws Unsupported for a status of that class, and ERR_CUDA, a mistake on this side or a broken device, for others.
void check(DnnStatus status, const char* what);

class Descriptor {
 public:
  explicit Descriptor(DnnDescriptorType type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  Descriptor& set(DnnAttribute attribute, std::int64_t value);
  Descriptor& set(DnnAttribute attribute, const std::vector<std::int64_t>& values);
  Descriptor& set(DnnAttribute attribute, float value);
  Descriptor& set(DnnAttribute attribute, bool value);
  Descriptor& set(DnnAttribute attribute, const std::string& text);
  Descriptor& set(DnnAttribute attribute, DnnHandle handle);
  Descriptor& set(DnnAttribute attribute, void* pointer);
  Descriptor& set(DnnAttribute attribute, const std::vector<void*>& pointers);
  Descriptor& set(DnnAttribute attribute, DnnDataType type);
  Descriptor& set(DnnAttribute attribute, DnnConvolutionMode mode);
  Descriptor& set(DnnAttribute attribute, DnnPointwiseMode mode);
  Descriptor& set(DnnAttribute attribute, DnnReduction reduction);
  Descriptor& set(DnnAttribute attribute, DnnNorm norm);
  Descriptor& set(DnnAttribute attribute, DnnNormPhase phase);
  Descriptor& set(DnnAttribute attribute, DnnNan nan);
  Descriptor& set(DnnAttribute attribute, DnnHeuristics mode);
  Descriptor& set(DnnAttribute attribute, const Descriptor& other);
  Descriptor& set(DnnAttribute attribute, const std::vector<Descriptor>& others);
  // No attribute can be set afterwards.
  Descriptor& finalize(const char* what);

  std::int64_t whole(DnnAttribute attribute) const;
  std::vector<DnnNote> notes(DnnAttribute attribute) const;
  // Fills descriptors that were made for it, as many as there are values.
  std::vector<Descriptor> descriptors(DnnAttribute attribute, DnnDescriptorType type) const;

  DnnDescriptor raw() const { return raw_; }

 private:
  Descriptor& setValues(DnnAttribute attribute, DnnKind kind, std::int64_t count, const void* of);

  DnnDescriptor raw_ = nullptr;
};

}  // namespace secateur::cuda::dnn
