// Patch attention on a GPU: matrix products are PyTorch's, what lies between them the kernels'.
// ../cpu/patch_attention_kernel.cpp has the algebra; here the whole batch goes together, unless its
// matrices of pairs would take too much memory.

#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "../exact.h"
#include "patch_attention_kernels.h"

namespace torchreid_occ {
namespace {

#ifndef TORCHREID_OCC_MOST_PAIRS  // a test sets it to less
#define TORCHREID_OCC_MOST_PAIRS (1 << 26)
#endif
constexpr int64_t kMostPairs = TORCHREID_OCC_MOST_PAIRS;  // 256 MiB in float32, up to four times

// A product of two batches of matrices, summed and given in full precision.
at::Tensor exact_product(const at::Tensor& one, const at::Tensor& other) {
  const auto exact = exact_type(one);
  return one.scalar_type() == exact ? at::bmm(one, other) : at::bmm(one, other, exact);
}

// Some samples of one call, of type I, and what all its samples share.
template <typename I>
struct Part {
  using T = Exact<I>;

  Maps maps;
  double scale;
  bool overlap;
  at::Tensor query, key;              // (B, C, H * W)
  std::optional<at::Tensor> allowed;  // (B, H * W)
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  at::Tensor left = inverse_norms(query), right = inverse_norms(key);  // (B, H * W)

  int channels() const { return static_cast<int>(query.size(1)); }

  // Without overlaps what is pasted are patches of one position.
  Maps pasted() const { return {maps.samples, maps.height, maps.width, overlap ? maps.radius : 0}; }

  at::Tensor inverse_norms(const at::Tensor& columns) const {
    const auto options = columns.options().dtype(exact_type(columns));
    const auto parts = at::empty({maps.samples, kParts, columns.size(2)}, options);
    auto norms = at::empty({maps.samples, columns.size(2)}, options);
    C10_CUDA_CHECK(torchreid_occ::inverse_norms<I>(
        maps, static_cast<int>(columns.size(1)), columns.const_data_ptr<I>(),
        parts.template data_ptr<T>(), norms.template data_ptr<T>(), stream));
    return norms;
  }

  // Logits, or attention where the log-sum-exp of their rows is known.
  at::Tensor logits(const at::Tensor* log_sum) const {
    const at::Tensor products = exact_product(query.transpose(1, 2), key);
    at::Tensor result = at::empty_like(products);
    C10_CUDA_CHECK(torchreid_occ::logits<T>(
        maps, products.const_data_ptr<T>(), left.const_data_ptr<T>(), right.const_data_ptr<T>(),
        allowed ? allowed->const_data_ptr<bool>() : nullptr, static_cast<T>(scale),
        log_sum != nullptr ? log_sum->const_data_ptr<T>() : nullptr, result.template data_ptr<T>(),
        stream));
    return result;
  }

  // What each position takes of each key.
  at::Tensor taken(const at::Tensor& attention) const {
    at::Tensor result = at::empty(attention.sizes(), query.options());
    C10_CUDA_CHECK(torchreid_occ::pasted<I>(
        pasted(), attention.const_data_ptr<T>(), result.template data_ptr<I>(), stream));
    return result;
  }

  void through_norms(
      const at::Tensor& columns, const at::Tensor& norms, const at::Tensor& dots,
      const at::Tensor& first, const at::Tensor* second, at::Tensor result) const {
    C10_CUDA_CHECK(torchreid_occ::through_norms<I>(
        maps, channels(), columns.const_data_ptr<I>(), norms.const_data_ptr<T>(),
        dots.const_data_ptr<T>(), first.const_data_ptr<T>(),
        second != nullptr ? second->const_data_ptr<T>() : nullptr, result.data_ptr<I>(), stream));
  }

  void forward(at::Tensor output, const at::Tensor& log_sum) const {
    at::Tensor attention = logits(nullptr);
    C10_CUDA_CHECK(torchreid_occ::softmax<T>(
        maps, attention.data_ptr<T>(), log_sum.data_ptr<T>(), stream));
    at::bmm_out(output, key, taken(attention).transpose(1, 2));
  }

  void backward(
      const at::Tensor& upstream, const at::Tensor& log_sum, at::Tensor query_gradient,
      at::Tensor key_gradient) const {
    at::Tensor attention = logits(&log_sum);
    // Through the pasting, ...
    const at::Tensor by_value = exact_product(upstream, taken(attention));
    at::Tensor slope = at::empty_like(attention), query_dots = at::empty_like(log_sum);
    {
      const at::Tensor gradient = exact_product(upstream.transpose(1, 2), key);
      C10_CUDA_CHECK(torchreid_occ::through_pasting<T>(
          pasted(), gradient.const_data_ptr<T>(), slope.data_ptr<T>(), stream));
    }
    // ... the softmax, ...
    C10_CUDA_CHECK(torchreid_occ::through_softmax<T>(
        maps, log_sum.const_data_ptr<T>(), left.const_data_ptr<T>(), right.const_data_ptr<T>(),
        static_cast<T>(scale), attention.data_ptr<T>(), slope.data_ptr<T>(),
        query_dots.data_ptr<T>(), stream));
    const at::Tensor key_dots = attention.sum(1);
    // ... the inner products, and the norms.
    at::Tensor gradient = at::empty(slope.sizes(), query.options());
    C10_CUDA_CHECK(torchreid_occ::through_products<I>(
        maps, slope.const_data_ptr<T>(), gradient.template data_ptr<I>(), stream));
    const at::Tensor by_query = exact_product(key, gradient.transpose(1, 2));
    const at::Tensor by_key = exact_product(query, gradient);
    through_norms(query, left, query_dots, by_query, nullptr, query_gradient);
    through_norms(key, right, key_dots, by_key, &by_value, key_gradient);
  }
};

// Calls `work(first, part)` for as many samples at a time as fit the memory that is allowed.
template <typename I, typename Work>
void for_each_part(
    const at::Tensor& query, const at::Tensor& key, const std::optional<at::Tensor>& key_mask,
    int64_t patch_size, double scale, bool overlap, const Work& work) {
  const int64_t positions = std::max<int64_t>(1, query.size(2) * query.size(3));
  const int64_t step = std::max<int64_t>(1, kMostPairs / (positions * positions));
  for (int64_t first = 0; first < query.size(0); first += step) {
    const int64_t count = std::min(step, query.size(0) - first);
    const auto columns = [&](const at::Tensor& maps) {
      return maps.narrow(0, first, count).contiguous().flatten(2);
    };
    const Maps maps{
        count, static_cast<int>(query.size(2)), static_cast<int>(query.size(3)),
        static_cast<int>(patch_size / 2)};
    std::optional<at::Tensor> allowed;
    if (key_mask) allowed = key_mask->narrow(0, first, count).contiguous().flatten(1);
    work(first, Part<I>{maps, scale, overlap, columns(query), columns(key), allowed});
  }
}

std::tuple<at::Tensor, at::Tensor> forward(
    const at::Tensor& query, const at::Tensor& key, const std::optional<at::Tensor>& key_mask,
    int64_t patch_size, double scale, bool overlap) {
  const c10::cuda::OptionalCUDAGuard guard(query.device());
  auto output = at::empty(query.sizes(), query.options());
  auto log_sum = at::empty(
      {query.size(0), query.size(2) * query.size(3)}, query.options().dtype(exact_type(query)));
  const auto columns = output.flatten(2);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, query.scalar_type(), "patch_attention", [&] {
        for_each_part<scalar_t>(
            query, key, key_mask, patch_size, scale, overlap,
            [&](int64_t first, const Part<scalar_t>& part) {
              const int64_t count = part.maps.samples;
              part.forward(columns.narrow(0, first, count), log_sum.narrow(0, first, count));
            });
      });
  return {output, log_sum};
}

std::tuple<at::Tensor, at::Tensor> backward(
    const at::Tensor& upstream, const at::Tensor& query, const at::Tensor& key,
    const std::optional<at::Tensor>& key_mask, const at::Tensor& log_sum, int64_t patch_size,
    double scale, bool overlap) {
  const c10::cuda::OptionalCUDAGuard guard(query.device());
  auto query_gradient = at::empty(query.sizes(), query.options());
  auto key_gradient = at::empty(key.sizes(), key.options());
  const auto query_columns = query_gradient.flatten(2), key_columns = key_gradient.flatten(2);
  const auto received = upstream.contiguous().flatten(2), sums = log_sum.contiguous();
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, query.scalar_type(), "patch_attention_backward", [&] {
        for_each_part<scalar_t>(
            query, key, key_mask, patch_size, scale, overlap,
            [&](int64_t first, const Part<scalar_t>& part) {
              const auto of = [&](const at::Tensor& all) {
                return all.narrow(0, first, part.maps.samples);
              };
              part.backward(of(received), of(sums), of(query_columns), of(key_columns));
            });
      });
  return {query_gradient, key_gradient};
}

}  // namespace

TORCH_LIBRARY_IMPL(torchreid_occ, CUDA, library) {
  library.impl("patch_attention", forward);
  library.impl("patch_attention_backward", backward);
}

}  // namespace torchreid_occ
