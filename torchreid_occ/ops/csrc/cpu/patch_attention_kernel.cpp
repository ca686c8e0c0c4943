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

namespace torchreid_occ {
namespace {

struct Map {
  int64_t height, width, radius;
  int64_t positions() const { return height * width; }
};

// Whether the column of each position still lies in the map when moved by an offset.
template <typename T>
std::vector<T> column_masks(const Map& map) {
  std::vector<T> masks((2 * map.radius + 1) * map.positions(), T(0));
  for (int64_t offset = -map.radius; offset <= map.radius; ++offset)
    for (int64_t q = 0; q < map.positions(); ++q) {
      const int64_t column = q % map.width + offset;
      masks[(offset + map.radius) * map.positions() + q] = column >= 0 && column < map.width;
    }
  return masks;
}

// First half of T for one row: the sum over vertical offsets.
template <typename T>
void sum_rows(const Map& map, const T* matrix, int64_t p, T* __restrict result) {
  const int64_t n = map.positions();
  std::copy(matrix + p * n, matrix + (p + 1) * n, result);
  for (int64_t offset = 1; offset <= map.radius; ++offset) {
    const int64_t step = offset * map.width;
    if (p - step >= 0) {
      const T* __restrict other = matrix + (p - step) * n;
      for (int64_t q = step; q < n; ++q) result[q] += other[q - step];
    }
    if (p + step < n) {
      const T* __restrict other = matrix + (p + step) * n;
      for (int64_t q = 0; q < n - step; ++q) result[q] += other[q + step];
    }
  }
}

// Second half of T for one row: the sum over horizontal offsets.
template <typename T>
void sum_columns(
    const Map& map, const std::vector<T>& masks, const T* matrix, int64_t p, T* __restrict result) {
  const int64_t n = map.positions(), column = p % map.width;
  std::copy(matrix + p * n, matrix + (p + 1) * n, result);
  for (int64_t offset = 1; offset <= map.radius; ++offset) {
    if (column - offset >= 0) {
      const T* __restrict other = matrix + (p - offset) * n;
      const T* __restrict mask = masks.data() + (map.radius - offset) * n;
      for (int64_t q = offset; q < n; ++q) result[q] += mask[q] * other[q - offset];
    }
    if (column + offset < map.width) {
      const T* __restrict other = matrix + (p + offset) * n;
      const T* __restrict mask = masks.data() + (map.radius + offset) * n;
      for (int64_t q = 0; q < n - offset; ++q) result[q] += mask[q] * other[q + offset];
    }
  }
}

// T of a matrix; `spare` holds its first half, and each finished row is handed to `finish`.
template <typename T, typename Finish>
void diagonal_box_sum(
    const Map& map,
    const std::vector<T>& masks,
    const T* matrix,
    T* spare,
    T* result,
    const Finish& finish) {
  const int64_t n = map.positions();
  for (int64_t p = 0; p < n; ++p) sum_rows(map, matrix, p, spare + p * n);
  for (int64_t p = 0; p < n; ++p) {
    sum_columns(map, masks, spare, p, result + p * n);
    finish(p, result + p * n);
  }
}

// The sum of each patch of a map, zeros outside.
template <typename T>
std::vector<T> box_sum(const Map& map, const std::vector<T>& values) {
  std::vector<T> sums(map.positions(), T(0));
  for (int64_t row = 0; row < map.height; ++row)
    for (int64_t column = 0; column < map.width; ++column) {
      T sum = 0;
      for (int64_t i = std::max<int64_t>(0, row - map.radius);
           i <= std::min(map.height - 1, row + map.radius);
           ++i)
        for (int64_t j = std::max<int64_t>(0, column - map.radius);
             j <= std::min(map.width - 1, column + map.radius);
             ++j)
          sum += values[i * map.width + j];
      sums[row * map.width + column] = sum;
    }
  return sums;
}

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
  std::vector<T> masks, counts;  // see column_masks; how many patches cover each position

  Operator(const Map& map, double scale, bool overlap)
      : map(map),
        scale(static_cast<T>(scale)),
        overlap(overlap),
        masks(column_masks<T>(map)),
        counts(box_sum(map, std::vector<T>(map.positions(), T(1)))) {}

  // Scaled cosine similarities of all pairs of patches, -inf where they may not be attended.
  template <typename Finish>
  void logits(
      const at::Tensor& query,
      const at::Tensor& key,
      const bool* allowed,
      const std::vector<T>& left,
      const std::vector<T>& right,
      at::Tensor& result,
      at::Tensor& spare,
      const Finish& finish) const {
    const int64_t n = map.positions();
    at::mm_out(result, query.t(), key);
    diagonal_box_sum(
        map, masks, result.const_data_ptr<T>(), spare.data_ptr<T>(), result.data_ptr<T>(),
        [&](int64_t p, T* row) {
          const T factor = scale * left[p];
          for (int64_t q = 0; q < n; ++q) row[q] *= factor * right[q];
          if (allowed != nullptr)
            for (int64_t q = 0; q < n; ++q)
              if (!allowed[q]) row[q] = -std::numeric_limits<T>::infinity();
          finish(p, row);
        });
  }

  // What each position takes of each key when whole patches are pasted.
  void paste(const at::Tensor& attention, at::Tensor& spare, at::Tensor& result) const {
    const int64_t n = map.positions();
    diagonal_box_sum(
        map, masks, attention.const_data_ptr<T>(), spare.data_ptr<T>(), result.data_ptr<T>(),
        [&](int64_t p, T* row) {
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
    auto &weights = space[0], &spare = space[1];
    const auto left = inverse_norms<T>(map, query), right = inverse_norms<T>(map, key);
    logits(query, key, allowed, left, right, weights, spare, [&](int64_t p, T* row) {
      // The row's own maximum: a fixed one is safe for small scales only.
      T most = *std::max_element(row, row + n);
      log_sum[p] = most;
      if (most > -std::numeric_limits<T>::infinity())
        for (int64_t q = 0; q < n; ++q) row[q] -= most;
    });
    weights.exp_();  // -inf gives zero, also in a row with nothing to attend
    T* row = weights.data_ptr<T>();
    for (int64_t p = 0; p < n; ++p, row += n) {
      T sum = 0;
      for (int64_t q = 0; q < n; ++q) sum += row[q];
      log_sum[p] += std::log(sum);
      const T factor = sum > 0 ? T(1) / sum : T(0);
      for (int64_t q = 0; q < n; ++q) row[q] *= factor;
    }
    if (overlap) paste(weights, spare, weights);
    at::mm_out(output, key, weights.t());
  }

  void backward(
      const at::Tensor& upstream,
      const at::Tensor& query,
      const at::Tensor& key,
      const bool* allowed,
      const T* log_sum,
      at::Tensor query_gradient,
      at::Tensor key_gradient,
      std::vector<at::Tensor>& space) const {
    const int64_t n = map.positions();
    auto &similar = space[0], &attention = space[1], &slope = space[2], &spare = space[3];
    const auto left = inverse_norms<T>(map, query), right = inverse_norms<T>(map, key);
    T* attended = attention.data_ptr<T>();
    logits(query, key, allowed, left, right, similar, spare, [&](int64_t p, T* row) {
      const bool nothing = log_sum[p] == -std::numeric_limits<T>::infinity();
      for (int64_t q = 0; q < n; ++q)
        attended[p * n + q] = nothing ? row[q] : row[q] - log_sum[p];
    });
    attention.exp_();

    // Through the pasting, ...
    auto received = upstream;
    if (overlap) {
      paste(attention, spare, slope);
      at::mm_out(key_gradient, upstream, slope);
      received = upstream / at::from_blob(const_cast<T*>(counts.data()), {n}, query.options());
    } else {
      at::mm_out(key_gradient, upstream, attention);
    }
    at::mm_out(slope, received.t(), key);
    // ... the softmax, ...
    std::vector<T> query_dots(n, T(0)), key_dots(n, T(0));
    const auto through_softmax = [&](int64_t p, T* row) {
      const T* __restrict weight = attended + p * n;
      const T* __restrict logit = similar.const_data_ptr<T>() + p * n;
      T mean = 0;
      for (int64_t q = 0; q < n; ++q) mean += row[q] * weight[q];
      const T factor = scale * left[p];
      T dot = 0;
      for (int64_t q = 0; q < n; ++q) {
        const T change = weight[q] * (row[q] - mean);
        const T moved = weight[q] > 0 ? change * logit[q] : T(0);  // its logit may be -inf
        dot += moved;
        key_dots[q] += moved;
        row[q] = change * factor * right[q];
      }
      query_dots[p] = dot;
    };
    T* row = slope.data_ptr<T>();
    if (overlap)
      diagonal_box_sum(map, masks, row, spare.data_ptr<T>(), row, through_softmax);
    else
      for (int64_t p = 0; p < n; ++p) through_softmax(p, row + p * n);
    // ... the inner products, ...
    diagonal_box_sum(map, masks, row, spare.data_ptr<T>(), row, [](int64_t, T*) {});
    at::mm_out(query_gradient, key, slope.t());
    key_gradient.addmm_(query, slope);
    // ... and the norms.
    subtract_norms(query_gradient, query, left, query_dots);
    subtract_norms(key_gradient, key, right, key_dots);
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

at::Tensor as_columns(const at::Tensor& maps) {
  return maps.to(exact_type(maps)).contiguous().flatten(2);
}

// Calls `work(sample, space)` for each sample, with `buffers` matrices of pairs for each thread.
template <typename Work>
void for_each_sample(const at::Tensor& columns, int64_t buffers, const Work& work) {
  const int64_t n = columns.size(2);
  at::parallel_for(0, columns.size(0), 1, [&](int64_t begin, int64_t end) {
    at::AutoDispatchBelowADInplaceOrView guard;  // threads do not inherit it
    std::vector<at::Tensor> space;
    for (int64_t index = 0; index < buffers; ++index)
      space.push_back(at::empty({n, n}, columns.options()));
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
  auto log_sum = at::empty({query.size(0), query_columns.size(2)}, query_columns.options());
  AT_DISPATCH_FLOATING_TYPES(query_columns.scalar_type(), "patch_attention", [&] {
    const Operator<scalar_t> op(map_of(query, patch_size), scale, overlap);
    for_each_sample(query_columns, 2, [&](int64_t i, std::vector<at::Tensor>& space) {
      op.forward(
          query_columns[i], key_columns[i], allowed_of(allowed, i), output[i],
          log_sum.data_ptr<scalar_t>() + i * log_sum.size(1), space);
    });
  });
  return {output.view(query.sizes()).to(query.scalar_type()), log_sum};
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
  AT_DISPATCH_FLOATING_TYPES(query_columns.scalar_type(), "patch_attention_backward", [&] {
    const Operator<scalar_t> op(map_of(query, patch_size), scale, overlap);
    for_each_sample(query_columns, 4, [&](int64_t i, std::vector<at::Tensor>& space) {
      op.backward(
          upstream_columns[i], query_columns[i], key_columns[i], allowed_of(allowed, i),
          log_sum.const_data_ptr<scalar_t>() + i * log_sum.size(1), std::get<0>(gradients)[i],
          std::get<1>(gradients)[i], space);
    });
  });
  const auto like = [&](const at::Tensor& gradient) {
    return gradient.view(query.sizes()).to(query.scalar_type());
  };
  return {like(std::get<0>(gradients)), like(std::get<1>(gradients))};
}

}  // namespace

TORCH_LIBRARY_IMPL(torchreid_occ, CPU, library) {
  library.impl("patch_attention", forward);
  library.impl("patch_attention_backward", backward);
}

}  // namespace torchreid_occ
