// Matrix products by the library that is fastest on the processor at hand.

#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <vector>

namespace torchreid_occ {

// The product of two matrices of (M, K) and (N, K), summed over K: (M, N).
//
// PyTorch multiplies float32 by MKL, which leaves half of AMD's processors with AVX-512 idle. oneDNN,
// which PyTorch's compiler calls by this operator of its own, does not; builds without it lack it.
inline at::Tensor product(const at::Tensor& left, const at::Tensor& right) {
  static const auto linear =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!linear || left.scalar_type() == at::kDouble) return at::mm(left, right.t());
  std::vector<c10::IValue> stack = {
      left, right, c10::IValue(), "none", c10::List<std::optional<at::Scalar>>(), ""};
  linear->callBoxed(stack);
  return stack.front().toTensor();
}

}  // namespace torchreid_occ
