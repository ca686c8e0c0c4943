// Kernels of three kinds: diagonal box sums are walks (walk.cuh). For sums over q a warp has a row of
// a matrix, its lanes take the columns in turn. Over columns, a warp has 32 positions of a sample, and
// one of kParts parts of the channels.

#include "patch_attention_kernels.h"

#include "../eps.h"
#include "walk.cuh"
#include "warps.cuh"

namespace torchreid_occ {
namespace {

// One row of a matrix of pairs.
struct Row {
  int64_t index, sample;  // the row's number among all samples' and whose it is
  bool exists;
};

__device__ Row own_row(const Maps& maps) {
  const int64_t index = own_warp(), positions = positions_of(maps);
  return {index, index / positions, index < maps.samples * positions};
}

// Logits become attention.
template <typename T>
__global__ void softmax_rows(Maps maps, T* matrix, T* log_sum) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = positions_of(maps);
  T* own = matrix + row.index * positions;
  // The row's own maximum: a fixed one is safe for small scales only.
  T most = -infinity<T>(), sum = 0;
#pragma unroll 4
  for (int q = threadIdx.x; q < positions; q += kLanes) most = fmax(most, own[q]);
  most = max_of_lanes(most);
  const T base = most == -infinity<T>() ? T(0) : most;  // -inf less itself is not a number
#pragma unroll 4
  for (int q = threadIdx.x; q < positions; q += kLanes) sum += exp(own[q] - base);
  sum = sum_of_lanes(sum);
  const T total = sum == 0 ? -infinity<T>() : base + log(sum);
  if (threadIdx.x == 0) log_sum[row.index] = total;
#pragma unroll 4
  for (int q = threadIdx.x; q < positions; q += kLanes) own[q] = weight_of(own[q], total);
}

template <typename T>
__global__ void softmax_gradient_rows(
    Maps maps, const T* log_sum, const T* left, const T* right, T scale, T* attention, T* gradient,
    T* dots) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = positions_of(maps);
  T* weights = attention + row.index * positions;
  T* slopes = gradient + row.index * positions;
  T mean = 0;
#pragma unroll 4
  for (int q = threadIdx.x; q < positions; q += kLanes) mean += slopes[q] * weights[q];
  mean = sum_of_lanes(mean);
  const T factor = scale * left[row.index], total = log_sum[row.index];
  T dot = 0;
#pragma unroll 4
  for (int q = threadIdx.x; q < positions; q += kLanes) {
    const T weight = weights[q];
    const T change = weight * (slopes[q] - mean);
    const T moved = weight > 0 ? change * (log(weight) + total) : T(0);  // log + total: the logit
    weights[q] = moved;
    slopes[q] = change * factor * right[row.sample * positions + q];
    dot += moved;
  }
  dot = sum_of_lanes(dot);
  if (threadIdx.x == 0) dots[row.index] = dot;
}

// 32 positions of a sample's columns, one a lane, in one part of the channels.
struct Columns {
  int64_t sample;
  int part;
  Position q;
  bool exists;
};

__device__ Columns own_columns(const Maps& maps) {
  const int positions = positions_of(maps), tiles = (positions + kLanes - 1) / kLanes;
  const int64_t warp = own_warp();
  const int part = static_cast<int>(warp / tiles % kParts);
  const int q = static_cast<int>(warp % tiles) * kLanes + threadIdx.x;
  const int64_t sample = warp / tiles / kParts;
  return {sample, part, {q, q / maps.width, q % maps.width},
          sample < maps.samples && q < positions};
}

template <typename I, typename T>
__global__ void square_columns(Maps maps, int channels, const I* columns, T* parts) {
  const Columns own = own_columns(maps);
  if (!own.exists) return;
  const int64_t positions = positions_of(maps);
  const I* values = columns + own.sample * channels * positions + own.q.index;
  T sum = 0;
#pragma unroll 4
  for (int c = own.part; c < channels; c += kParts) {
    const T value = static_cast<T>(values[c * positions]);
    sum += value * value;
  }
  parts[(own.sample * kParts + own.part) * positions + own.q.index] = sum;
}

// The sum of `value(q)` over the patch at a position, zeros outside.
template <typename T, typename Value>
__device__ T patch_sum(const Maps& maps, const Position& q, const Value& value) {
  T sum = 0;
  for (int i = -maps.radius; i <= maps.radius; ++i)
    for (int j = -maps.radius; j <= maps.radius; ++j)
      if (is_within(q.row + i, maps.height) && is_within(q.column + j, maps.width))
        sum += value(q.index + i * maps.width + j);
  return sum;
}

// Here a lane has one position of all, and the parts of its channels are added.
template <typename T>
__global__ void norm_rows(Maps maps, const T* parts, T* norms) {
  const int positions = positions_of(maps);
  const int64_t index = own_warp() * kLanes + threadIdx.x;
  if (index >= maps.samples * positions) return;
  const int q = static_cast<int>(index % positions);
  const T* own = parts + index / positions * kParts * positions;
  const T square = patch_sum<T>(maps, {q, q / maps.width, q % maps.width}, [&](int other) {
    T sum = 0;
#pragma unroll
    for (int part = 0; part < kParts; ++part)
      sum += own[static_cast<int64_t>(part) * positions + other];
    return sum;
  });
  norms[index] = T(1) / sqrt(fmax(square, T(kEps * kEps)));
}

template <typename I, typename T>
__global__ void norm_gradient_columns(
    Maps maps, int channels, const I* columns, const T* norms, const T* dots, const T* first,
    const T* second, I* result) {
  const Columns own = own_columns(maps);
  if (!own.exists) return;
  const int64_t positions = positions_of(maps), start = own.sample * positions;
  const T less = patch_sum<T>(maps, own.q, [&](int other) {
    const T norm = norms[start + other];
    return norm < T(1 / kEps) ? norm * norm * dots[start + other] : T(0);
  });
#pragma unroll 4
  for (int c = own.part; c < channels; c += kParts) {
    const int64_t place = (own.sample * channels + c) * positions + own.q.index;
    const T gradient = second == nullptr ? first[place] : first[place] + second[place];
    result[place] = static_cast<I>(gradient - less * static_cast<T>(columns[place]));
  }
}

}  // namespace

template <typename I, typename T>
cudaError_t inverse_norms(
    const Maps& maps, int channels, const I* columns, T* parts, T* norms, cudaStream_t stream) {
  const cudaError_t error =
      launch(square_columns<I, T>, kParts * tiles_of(maps), stream, maps, channels, columns, parts);
  if (error != cudaSuccess) return error;
  return launch(norm_rows<T>, (rows_of(maps) + kLanes - 1) / kLanes, stream, maps, parts, norms);
}

template <typename T>
cudaError_t logits(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, const T* log_sum, T* result, cudaStream_t stream) {
  const Plain<T> load{products};
  const Scaled<T> store{left, right, allowed, scale, result};
  if (log_sum == nullptr) return walk_all<T>(maps, load, store, stream);
  return walk_all<T>(maps, load, Weighted<T>{store, log_sum}, stream);
}

template <typename T>
cudaError_t softmax(const Maps& maps, T* matrix, T* log_sum, cudaStream_t stream) {
  return launch(softmax_rows<T>, rows_of(maps), stream, maps, matrix, log_sum);
}

template <typename I, typename T>
cudaError_t pasted(const Maps& maps, const T* attention, I* result, cudaStream_t stream) {
  return walk_all<T>(maps, Plain<T>{attention}, Converted<I, T>{result, maps, true}, stream);
}

template <typename T>
cudaError_t through_pasting(
    const Maps& maps, const T* gradient, T* result, cudaStream_t stream) {
  return walk_all<T>(
      maps, Averaged<T>{gradient, maps}, Converted<T, T>{result, maps, false}, stream);
}

template <typename T>
cudaError_t through_softmax(
    const Maps& maps, const T* log_sum, const T* left, const T* right, T scale,
    T* attention, T* gradient, T* dots, cudaStream_t stream) {
  return launch(
      softmax_gradient_rows<T>, rows_of(maps), stream, maps, log_sum, left, right, scale, attention,
      gradient, dots);
}

template <typename I, typename T>
cudaError_t through_products(
    const Maps& maps, const T* gradient, I* result, cudaStream_t stream) {
  return walk_all<T>(maps, Plain<T>{gradient}, Converted<I, T>{result, maps, false}, stream);
}

template <typename I, typename T>
cudaError_t through_norms(
    const Maps& maps, int channels, const I* columns, const T* norms, const T* dots, const T* first,
    const T* second, I* result, cudaStream_t stream) {
  return launch(
      norm_gradient_columns<I, T>, kParts * tiles_of(maps), stream, maps, channels, columns, norms,
      dots, first, second, result);
}

#define INSTANTIATE_EXACT(T)                                                                     \
  template cudaError_t logits(                                                                   \
      const Maps&, const T*, const T*, const T*, const bool*, T, const T*, T*, cudaStream_t);    \
  template cudaError_t softmax(const Maps&, T*, T*, cudaStream_t);                               \
  template cudaError_t through_pasting(const Maps&, const T*, T*, cudaStream_t);                 \
  template cudaError_t through_softmax(                                                          \
      const Maps&, const T*, const T*, const T*, T, T*, T*, T*, cudaStream_t);
INSTANTIATE_EXACT(float)
INSTANTIATE_EXACT(double)

#define INSTANTIATE(I)                                                                           \
  template cudaError_t inverse_norms(                                                            \
      const Maps&, int, const I*, Exact<I>*, Exact<I>*, cudaStream_t);                           \
  template cudaError_t pasted(const Maps&, const Exact<I>*, I*, cudaStream_t);                   \
  template cudaError_t through_products(const Maps&, const Exact<I>*, I*, cudaStream_t);         \
  template cudaError_t through_norms(                                                            \
      const Maps&, int, const I*, const Exact<I>*, const Exact<I>*, const Exact<I>*,             \
      const Exact<I>*, I*, cudaStream_t);
INSTANTIATE(float)
INSTANTIATE(double)
INSTANTIATE(c10::Half)
INSTANTIATE(c10::BFloat16)

}  // namespace torchreid_occ
