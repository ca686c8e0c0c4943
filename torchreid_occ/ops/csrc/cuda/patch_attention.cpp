// Patch attention on a GPU: matrix products are PyTorch's, what lies between them the row kernels'.
// ../cpu/patch_attention_kernel.cpp has the algebra; here several samples go together, as many as
// keep their matrices of pairs in the second-level cache.

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

constexpr int64_t kCachedPairs = 1 << 21;  // 8 MiB of float32 in each of up to four matrices

// A product of two batches of matrices, summed and given in full precision.
at::Tensor exact_product(const at::Tensor& one, const at::Tensor& other) {
  const auto exact = exact_type(one);
  return one.scalar_type() == exact ? at::bmm(one, other) : at::bmm(one, other, exact);
}

// Some samples of one call, in their own precision, and what all its samples share.
struct Part {
  Maps maps;
  int64_t patch_size;
  double scale;
  bool overlap;
  at::Tensor query, key;              // (B, C, H * W)
  std::optional<at::Tensor> allowed;  // (B, H * W)
  at::Tensor left, right;             // inverse norms of patches, (B, H * W)

  // Sum of each patch of values at positions, zeros outside.
  at::Tensor box_sum(const at::Tensor& values) const {
    const auto pooled = at::avg_pool2d(
        values.view({-1, 1, maps.height, maps.width}), {patch_size, patch_size}, {1, 1},
        {maps.radius, maps.radius});
    return pooled.view(values.sizes()) * (patch_size * patch_size);
  }

  at::Tensor inverse_norms(const at::Tensor& columns) const {
    const auto squares = columns.to(exact_type(columns)).square().sum(1);
    return box_sum(squares).clamp_min(kEps * kEps).rsqrt();
  }

  // The rest of a gradient: that through the norms, which do not move where raised to kEps.
  at::Tensor through_norms(
      const at::Tensor& columns, const at::Tensor& norms, const at::Tensor& dots) const {
    const auto moved = at::where(norms < 1 / kEps, norms.square() * dots, at::zeros_like(dots));
    return columns.to(exact_type(columns)) * box_sum(moved).unsqueeze(1);
  }
};

// A part's matrices of pairs.
template <typename T>
struct Pairs {
  const Part& part;
  cudaStream_t stream = c10::cuda::getCurrentCUDAStream();

  at::Tensor similarities(const at::Tensor& log_sum) const {
    const at::Tensor products = exact_product(part.query.transpose(1, 2), part.key);
    at::Tensor logits = at::empty_like(products);
    C10_CUDA_CHECK(torchreid_occ::similarities<T>(
        part.maps, products.const_data_ptr<T>(), part.left.const_data_ptr<T>(),
        part.right.const_data_ptr<T>(),
        part.allowed ? part.allowed->const_data_ptr<bool>() : nullptr, static_cast<T>(part.scale),
        logits.data_ptr<T>(), log_sum.data_ptr<T>(), stream));
    return logits;
  }

  at::Tensor attention(const at::Tensor& logits, const at::Tensor& log_sum) const {
    at::Tensor result = at::empty_like(logits);
    C10_CUDA_CHECK(torchreid_occ::weights<T>(
        part.maps, logits.const_data_ptr<T>(), log_sum.const_data_ptr<T>(), result.data_ptr<T>(),
        stream));
    return result;
  }

  at::Tensor diagonal_box_sum(const at::Tensor& matrix, bool averaged) const {
    at::Tensor result = at::empty_like(matrix);
    C10_CUDA_CHECK(torchreid_occ::diagonal_box_sum<T>(
        part.maps, matrix.const_data_ptr<T>(), averaged, result.data_ptr<T>(), stream));
    return result;
  }

  // What each position takes of each key, in the precision of the maps.
  at::Tensor taken(const at::Tensor& attention) const {
    const at::Tensor exact = part.overlap ? diagonal_box_sum(attention, true) : attention;
    return exact.to(part.key.scalar_type());
  }

  void forward(at::Tensor output, const at::Tensor& log_sum) const {
    const at::Tensor logits = similarities(log_sum);
    const at::Tensor weights = taken(attention(logits, log_sum));
    at::bmm_out(output, part.key, weights.transpose(1, 2));
  }

  void backward(
      const at::Tensor& upstream, const at::Tensor& log_sum, at::Tensor query_gradient,
      at::Tensor key_gradient) const {
    const at::Tensor logits = similarities(at::empty_like(log_sum));
    const at::Tensor attended = attention(logits, log_sum);
    at::Tensor to_key = exact_product(upstream, taken(attended));
    // Through the pasting, ...
    at::Tensor gradient = exact_product(upstream.transpose(1, 2), part.key);
    if (part.overlap) {
      const at::Tensor cover = part.box_sum(at::ones_like(log_sum));
      gradient = diagonal_box_sum(gradient.div_(cover.unsqueeze(2)), false);
    }
    // ... the softmax, ...
    C10_CUDA_CHECK(torchreid_occ::through_softmax<T>(
        part.maps, gradient.data_ptr<T>(), attended.data_ptr<T>(), logits.const_data_ptr<T>(),
        part.left.const_data_ptr<T>(), part.right.const_data_ptr<T>(), static_cast<T>(part.scale),
        stream));
    // ... the inner products, and the norms.
    const at::Tensor slope = diagonal_box_sum(gradient, false).to(part.key.scalar_type());
    const at::Tensor to_query = exact_product(part.key, slope.transpose(1, 2));
    to_key += exact_product(part.query, slope);
    query_gradient.copy_(
        to_query - part.through_norms(part.query, part.left, attended.sum(2)));
    key_gradient.copy_(to_key - part.through_norms(part.key, part.right, attended.sum(1)));
  }
};

// Calls `work(first, part)` for as many samples at a time as fit the cache.
template <typename Work>
void for_each_part(
    const at::Tensor& query, const at::Tensor& key, const std::optional<at::Tensor>& key_mask,
    int64_t patch_size, double scale, bool overlap, const Work& work) {
  const int64_t positions = std::max<int64_t>(1, query.size(2) * query.size(3));
  const int64_t step = std::max<int64_t>(1, kCachedPairs / (positions * positions));
  for (int64_t first = 0; first < query.size(0); first += step) {
    const int64_t count = std::min(step, query.size(0) - first);
    const auto columns = [&](const at::Tensor& maps) {
      return maps.narrow(0, first, count).contiguous().flatten(2);
    };
    Part part{
        {count, static_cast<int>(query.size(2)), static_cast<int>(query.size(3)),
         static_cast<int>(patch_size / 2)},
        patch_size, scale, overlap, columns(query), columns(key)};
    if (key_mask) part.allowed = key_mask->narrow(0, first, count).contiguous().flatten(1);
    part.left = part.inverse_norms(part.query);
    part.right = part.inverse_norms(part.key);
    work(first, part);
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
  AT_DISPATCH_FLOATING_TYPES(log_sum.scalar_type(), "patch_attention", [&] {
    for_each_part(
        query, key, key_mask, patch_size, scale, overlap, [&](int64_t first, const Part& part) {
          const auto of = [&](const at::Tensor& all) {
            return all.narrow(0, first, part.maps.samples);
          };
          Pairs<scalar_t>{part}.forward(of(columns), of(log_sum));
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
  const auto received = upstream.contiguous().flatten(2);
  AT_DISPATCH_FLOATING_TYPES(log_sum.scalar_type(), "patch_attention_backward", [&] {
    for_each_part(
        query, key, key_mask, patch_size, scale, overlap, [&](int64_t first, const Part& part) {
          const auto of = [&](const at::Tensor& all) {
            return all.narrow(0, first, part.maps.samples);
          };
          Pairs<scalar_t>{part}.backward(
              of(received), of(log_sum), of(query_columns), of(key_columns));
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
