// Patch attention on a CPU: a sample at a time, so that its matrices of pairs stay in the cache.
//
// With f and r the columns of query and key, S = T(f' r) holds the patches' inner products, where T
// sums over pairs of positions that move together within a patch. With u and v their inverse norms,
// A = softmax(scale u S v); the result is r T(A)' / count, or r A' without pasting. T is its own
// adjoint. shift_form.py is the same in PyTorch.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include "../exact.h"
#include "box_sums.h"
#include "products.h"

namespace torchreid_occ {
namespace {

template <typename T>
std::vector<T> inverse_norms(const Map& map, const at::Tensor& columns) {
  const int64_t n = map.positions(), channels = columns.size(0);
  const T* data = columns.const_data_ptr<T>();
  std::vector<T> squares(n, T(0));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t q = 0; q < n; ++q) squares[q] += data[c * n + q] * data[c * n + q];
  std::vector<T> norms = box_sum(map, squares);
  for (T& norm : norms) norm = T(1) / std::sqrt(std::max(norm, T(kEps * kEps)));
  return norms;
}

// One call of the operator: its options, and what all its samples share.
template <typename T>
struct Operator {
  Map map;
  T scale;
  bool overlap;
  at::ScalarType type;  // in which matrices are multiplied
  std::vector<T> masks, counts;  // see column_masks; how many patches cover each position

  Operator(const Map& map, double scale, bool overlap, at::ScalarType type)
      : map(map),
        scale(static_cast<T>(scale)),
        overlap(overlap),
        type(type),
        masks(column_masks<T>(map)),
        counts(box_sum(map, std::vector<T>(map.positions(), T(1)))) {}

  // T of a matrix of pairs in either type; each finished row is handed to `finish`.
  template <typename Finish>
  void box_sum_of(const at::Tensor& matrix, at::Tensor& result, const Finish& finish) const {
    T* sums = result.data_ptr<T>();
    if (matrix.scalar_type() == at::kBFloat16)
      diagonal_box_sum(map, masks, matrix.const_data_ptr<at::BFloat16>(), sums, finish);
    else
      diagonal_box_sum(map, masks, matrix.const_data_ptr<T>(), sums, finish);
  }

  // Scaled cosine similarities of all pairs of patches, -inf where they may not be attended.
  template <typename Finish>
  void logits(
      const at::Tensor& query,
      const at::Tensor& key,
      const bool* allowed,
      const std::vector<T>& left,
      const std::vector<T>& right,
      at::Tensor& result,
      const Finish& finish) const {
    const int64_t n = map.positions();
    box_sum_of(product(query.t(), key.t(), type), result, [&](int64_t p, T* row) {
      const T factor = scale * left[p];
      for (int64_t q = 0; q < n; ++q) row[q] *= factor * right[q];
      if (allowed != nullptr)
        for (int64_t q = 0; q < n; ++q)
          if (!allowed[q]) row[q] = -std::numeric_limits<T>::infinity();
      finish(p, row);
    });
  }

  // What each position takes of each key when whole patches are pasted.
  void paste(const at::Tensor& attention, at::Tensor& result) const {
    const int64_t n = map.positions();
    box_sum_of(attention, result, [&](int64_t p, T* row) {
      const T factor = T(1) / counts[p];
      for (int64_t q = 0; q < n; ++q) row[q] *= factor;
    });
  }

  void forward(
      const at::Tensor& query,
      const at::Tensor& key,
      const bool* allowed,
      at::Tensor output,
      T* log_sum,
      std::vector<at::Tensor>& space) const {
    const int64_t n = map.positions();
    auto &pasted = space[0], &weights = space[1];
    const auto left = inverse_norms<T>(map, query), right = inverse_norms<T>(map, key);
    logits(query, key, allowed, left, right, weights, [&](int64_t p, T* row) {
      // The row's own maximum: a fixed one is safe for small scales only.
      T most = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : most)
      for (int64_t q = 0; q < n; ++q) most = std::max(most, row[q]);
      log_sum[p] = most;
      if (most > -std::numeric_limits<T>::infinity())
        for (int64_t q = 0; q < n; ++q) row[q] -= most;
    });
    weights.exp_();  // -inf gives zero, also in a row with nothing to attend
    T* row = weights.data_ptr<T>();
    for (int64_t p = 0; p < n; ++p, row += n) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t q = 0; q < n; ++q) sum += row[q];
      log_sum[p] += std::log(sum);
      const T factor = sum > 0 ? T(1) / sum : T(0);
      for (int64_t q = 0; q < n; ++q) row[q] *= factor;
    }
    if (overlap) paste(weights, pasted);
    output.copy_(product(key, overlap ? pasted : weights, type));
  }

  void backward(
      const at::Tensor& upstream,
      const at::Tensor& query,
      const at::Tensor& key,
      const bool* allowed,
      const T* log_sum,
      at::Tensor to_query,
      at::Tensor to_key,
      std::vector<at::Tensor>& space) const {
    const int64_t n = map.positions();
    auto &spare = space[0], &similar = space[1], &attention = space[2];
    const auto left = inverse_norms<T>(map, query), right = inverse_norms<T>(map, key);
    T* attended = attention.data_ptr<T>();
    logits(query, key, allowed, left, right, similar, [&](int64_t p, T* row) {
      const bool nothing = log_sum[p] == -std::numeric_limits<T>::infinity();
      const T less = nothing ? T(0) : log_sum[p];
      for (int64_t q = 0; q < n; ++q) attended[p * n + q] = row[q] - less;
      // -inf has no attention; times zero it would be NaN further down.
      for (int64_t q = 0; q < n; ++q) row[q] = std::max(row[q], std::numeric_limits<T>::lowest());
    });
    attention.exp_();

    // Through the pasting, ...
    auto received = upstream;
    at::Tensor key_gradient;
    if (overlap) {
      paste(attention, spare);
      key_gradient = product(upstream, spare.t(), type);
      received = upstream / at::from_blob(const_cast<T*>(counts.data()), {n}, query.options());
    } else {
      key_gradient = product(upstream, attention.t(), type);
    }
    auto weight_gradient = product(received.t(), key.t(), type);
    if (!overlap) weight_gradient = weight_gradient.to(similar.scalar_type());
    // ... the softmax, ...
    std::vector<T> query_dots(n, T(0)), key_dots(n, T(0));
    const auto through_softmax = [&](int64_t p, T* __restrict row) {
      const T* __restrict weight = attended + p * n;
      const T* __restrict logit = similar.const_data_ptr<T>() + p * n;
      T* __restrict dots = key_dots.data();
      T mean = 0, dot = 0;
#pragma omp simd reduction(+ : mean)
      for (int64_t q = 0; q < n; ++q) mean += row[q] * weight[q];
      const T factor = scale * left[p];
#pragma omp simd reduction(+ : dot)
      for (int64_t q = 0; q < n; ++q) {
        const T change = weight[q] * (row[q] - mean), moved = change * logit[q];
        dot += moved;
        dots[q] += moved;
        row[q] = change * factor * right[q];
      }
      query_dots[p] = dot;
    };
    const auto& slope = overlap ? spare : weight_gradient;
    if (overlap) {
      box_sum_of(weight_gradient, spare, through_softmax);
    } else {
      for (int64_t p = 0; p < n; ++p) through_softmax(p, slope.template data_ptr<T>() + p * n);
    }
    // ... the inner products, ...
    box_sum_of(slope, similar, [](int64_t, T*) {});
    const auto pairs = similar.to(type);
    auto query_gradient = product(key, pairs, type).to(query.scalar_type());
    key_gradient = key_gradient.to(key.scalar_type()).add_(product(query, pairs.t(), type));
    // ... and the norms.
    subtract_norms(query_gradient, query, left, query_dots);
    subtract_norms(key_gradient, key, right, key_dots);
    to_query.copy_(query_gradient);
    to_key.copy_(key_gradient);
  }

  void subtract_norms(
      at::Tensor& gradient,
      const at::Tensor& columns,
      const std::vector<T>& norms,
      std::vector<T> dots) const {
    const int64_t n = map.positions();
    for (int64_t q = 0; q < n; ++q)  // a norm raised to kEps does not move
      dots[q] = norms[q] < T(1 / kEps) ? dots[q] * norms[q] * norms[q] : T(0);
    const auto sums = box_sum(map, dots);
    const T* data = columns.const_data_ptr<T>();
    T* result = gradient.data_ptr<T>();
    for (int64_t c = 0; c < columns.size(0); ++c)
      for (int64_t q = 0; q < n; ++q) result[c * n + q] -= data[c * n + q] * sums[q];
  }
};

at::Tensor as_columns(const at::Tensor& maps) { return maps.contiguous().flatten(2); }

// Calls `work(sample, space)` for each sample, with `buffers` matrices of pairs for each thread.
template <typename Work>
void for_each_sample(const at::Tensor& columns, int64_t buffers, const Work& work) {
  const int64_t n = columns.size(2);
  at::parallel_for(0, columns.size(0), 1, [&](int64_t begin, int64_t end) {
    at::AutoDispatchBelowADInplaceOrView guard;  // threads do not inherit it
    std::vector<at::Tensor> space;
    for (int64_t index = 0; index < buffers; ++index)
      space.push_back(at::empty({n, n}, columns.options().dtype(exact_type(columns))));
    for (int64_t sample = begin; sample < end; ++sample) work(sample, space);
  });
}

Map map_of(const at::Tensor& maps, int64_t patch_size) {
  return {maps.size(2), maps.size(3), patch_size / 2};
}

const bool* allowed_of(const std::optional<at::Tensor>& allowed, int64_t sample) {
  return allowed ? allowed->const_data_ptr<bool>() + sample * allowed->size(-1) : nullptr;
}

std::tuple<at::Tensor, at::Tensor> forward(
    const at::Tensor& query,
    const at::Tensor& key,
    const std::optional<at::Tensor>& key_mask,
    int64_t patch_size,
    double scale,
    bool overlap) {
  const auto query_columns = as_columns(query), key_columns = as_columns(key);
  std::optional<at::Tensor> allowed;
  if (key_mask) allowed = key_mask->contiguous().flatten(1);
  auto output = at::empty_like(query_columns);
  const auto exact = exact_type(query);
  auto log_sum =
      at::empty({query.size(0), query_columns.size(2)}, query.options().dtype(exact));
  AT_DISPATCH_FLOATING_TYPES(exact, "patch_attention", [&] {
    const Operator<scalar_t> op(
        map_of(query, patch_size), scale, overlap,
        multiplied_type(query, exact));
    for_each_sample(query_columns, 2, [&](int64_t i, std::vector<at::Tensor>& space) {
      op.forward(
          query_columns[i].to(exact), key_columns[i].to(exact), allowed_of(allowed, i), output[i],
          log_sum.data_ptr<scalar_t>() + i * log_sum.size(1), space);
    });
  });
  return {output.view(query.sizes()), log_sum};
}

std::tuple<at::Tensor, at::Tensor> backward(
    const at::Tensor& upstream,
    const at::Tensor& query,
    const at::Tensor& key,
    const std::optional<at::Tensor>& key_mask,
    const at::Tensor& log_sum,
    int64_t patch_size,
    double scale,
    bool overlap) {
  const auto query_columns = as_columns(query), key_columns = as_columns(key);
  const auto upstream_columns = as_columns(upstream);
  std::optional<at::Tensor> allowed;
  if (key_mask) allowed = key_mask->contiguous().flatten(1);
  auto gradients = std::make_tuple(at::empty_like(query_columns), at::empty_like(key_columns));
  const auto exact = exact_type(query);
  AT_DISPATCH_FLOATING_TYPES(exact, "patch_attention_backward", [&] {
    const Operator<scalar_t> op(
        map_of(query, patch_size), scale, overlap,
        multiplied_type(query, exact));
    for_each_sample(query_columns, 3, [&](int64_t i, std::vector<at::Tensor>& space) {
      op.backward(
          upstream_columns[i].to(exact), query_columns[i].to(exact), key_columns[i].to(exact),
          allowed_of(allowed, i),
          log_sum.const_data_ptr<scalar_t>() + i * log_sum.size(1), std::get<0>(gradients)[i],
          std::get<1>(gradients)[i], space);
    });
  });
  return {std::get<0>(gradients).view(query.sizes()), std::get<1>(gradients).view(query.sizes())};
}

}  // namespace

TORCH_LIBRARY_IMPL(torchreid_occ, CPU, library) {
  library.impl("patch_attention", forward);
  library.impl("patch_attention_backward", backward);
}

}  // namespace torchreid_occ
