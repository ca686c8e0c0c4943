#pragma once

#include <c10/core/Device.h>

namespace c10::cuda {
struct OptionalCUDAGuard {
  explicit OptionalCUDAGuard(c10::Device) {}
};
}  // namespace c10::cuda
