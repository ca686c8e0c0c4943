// What patch attention computes in, on every device.

#pragma once

#include <ATen/ATen.h>

#include "eps.h"

namespace torchreid_occ {

// Half precision is too coarse for sums over all pairs.
inline at::ScalarType exact_type(const at::Tensor& maps) {
  return maps.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

}  // namespace torchreid_occ
