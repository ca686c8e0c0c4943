// Matrix products by the library, and in the type, that are fastest on the processor at hand.

#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <vector>

namespace torchreid_occ {

// The type in which maps are multiplied: bfloat16 where the processor multiplies it, else the exact
// one. Sums are float32 in both, but results are rounded to the type.
inline at::ScalarType multiplied_type(const at::Tensor& maps, at::ScalarType exact) {
#ifdef __x86_64__
  if (maps.scalar_type() == at::kBFloat16 && __builtin_cpu_supports("avx512bf16"))
    return at::kBFloat16;
#endif
  return exact;
}

// The product of two matrices of (M, K) and (N, K), summed over K: (M, N).
//
// PyTorch multiplies float32 by MKL, which leaves half of AMD's processors with AVX-512 idle. oneDNN,
// which PyTorch's compiler calls by this operator of its own, does not; builds without it lack it.
inline at::Tensor product(const at::Tensor& left, const at::Tensor& right, at::ScalarType type) {
  static const auto linear =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!linear || type == at::kDouble) return at::mm(left.to(type), right.t().to(type));
  std::vector<c10::IValue> stack = {
      left.to(type), right.to(type), c10::IValue(), "none",
      c10::List<std::optional<at::Scalar>>(), ""};
  linear->callBoxed(stack);
  return stack.front().toTensor();
}

}  // namespace torchreid_occ
