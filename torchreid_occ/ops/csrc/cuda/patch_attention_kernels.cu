// A warp has a row of a matrix of pairs, its lanes take the columns in turn: neighbouring lanes
// read neighbouring values, and the rows that a box sum reads are its neighbours' in the cache.

#include "patch_attention_kernels.h"

#include <cmath>

namespace torchreid_occ {
namespace {

constexpr int kLanes = 32;
constexpr int kRows = 8;  // of a block
constexpr unsigned kAll = 0xffffffff;

template <typename T>
__device__ constexpr T infinity() {
  return static_cast<T>(INFINITY);
}

// One row of a matrix of pairs.
struct Row {
  int64_t index, sample;  // the row's number among all samples' and whose it is
  int p;
  bool exists;
};

__device__ Row own_row(const Maps& maps) {
  const int positions = maps.height * maps.width;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.y;
  return {index, index / positions, static_cast<int>(index % positions),
          index < maps.samples * positions};
}

template <typename T>
__device__ T sum_of_lanes(T value) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAll, value, distance);
  return value;
}

template <typename T>
__device__ T max_of_lanes(T value) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2)
    value = fmax(value, __shfl_xor_sync(kAll, value, distance));
  return value;
}

// The sum over all offsets d of a patch of entry (p + d, q + d) of a sample's matrix.
template <typename T>
__device__ T box(const Maps& maps, const T* matrix, int p, int q) {
  const int positions = maps.height * maps.width;
  const int row = p / maps.width, column = p % maps.width;
  const int key_row = q / maps.width, key_column = q % maps.width;
  const int up = min(maps.radius, min(row, key_row));
  const int down = min(maps.radius, maps.height - 1 - max(row, key_row));
  const int left = min(maps.radius, min(column, key_column));
  const int right = min(maps.radius, maps.width - 1 - max(column, key_column));
  T sum = 0;
  for (int i = -up; i <= down; ++i)
    for (int j = -left; j <= right; ++j) {
      const int64_t offset = i * maps.width + j;
      sum += matrix[(p + offset) * positions + q + offset];
    }
  return sum;
}

// How many patches cover a position.
__device__ int cover(const Maps& maps, int p) {
  const int row = p / maps.width, column = p % maps.width;
  const int rows = min(maps.radius, row) + min(maps.radius, maps.height - 1 - row) + 1;
  const int columns = min(maps.radius, column) + min(maps.radius, maps.width - 1 - column) + 1;
  return rows * columns;
}

template <typename T>
__global__ void similarity_rows(
    Maps maps, const T* products, const T* left, const T* right, const bool* allowed, T scale,
    T* logits, T* log_sum) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = maps.height * maps.width;
  const int64_t first = row.sample * positions;
  const T factor = scale * left[row.index];
  // Running maximum and sum: a fixed maximum is safe for small scales only.
  T most = -infinity<T>(), sum = 0;
  for (int q = threadIdx.x; q < positions; q += kLanes) {
    T logit = -infinity<T>();
    if (allowed == nullptr || allowed[first + q]) {
      logit = factor * right[first + q] * box(maps, products + first * positions, row.p, q);
      if (logit > most) {
        sum = sum * exp(most - logit) + 1;
        most = logit;
      } else {
        sum += exp(logit - most);
      }
    }
    logits[row.index * positions + q] = logit;
  }
  const T top = max_of_lanes(most);
  sum = sum_of_lanes(most == -infinity<T>() ? T(0) : sum * exp(most - top));
  if (threadIdx.x == 0) log_sum[row.index] = sum > 0 ? top + log(sum) : -infinity<T>();
}

template <typename T>
__global__ void weight_rows(Maps maps, const T* logits, const T* log_sum, T* attention) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = maps.height * maps.width;
  const T total = log_sum[row.index];
  for (int q = threadIdx.x; q < positions; q += kLanes) {
    const int64_t place = row.index * positions + q;
    attention[place] = total == -infinity<T>() ? T(0) : exp(logits[place] - total);
  }
}

template <typename T>
__global__ void box_rows(Maps maps, const T* matrix, bool averaged, T* result) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = maps.height * maps.width;
  const T* own = matrix + row.sample * positions * positions;
  const T factor = T(1) / (averaged ? cover(maps, row.p) : 1);
  for (int q = threadIdx.x; q < positions; q += kLanes)
    result[row.index * positions + q] = factor * box(maps, own, row.p, q);
}

template <typename T>
__global__ void softmax_gradient_rows(
    Maps maps, T* gradient, T* attention, const T* logits, const T* left, const T* right, T scale) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = maps.height * maps.width;
  const int64_t start = row.index * positions;
  T mean = 0;
  for (int q = threadIdx.x; q < positions; q += kLanes)
    mean += gradient[start + q] * attention[start + q];
  mean = sum_of_lanes(mean);
  const T factor = scale * left[row.index];
  for (int q = threadIdx.x; q < positions; q += kLanes) {
    const T weight = attention[start + q];
    const T change = weight * (gradient[start + q] - mean);
    attention[start + q] = weight > 0 ? change * logits[start + q] : T(0);  // logits may be -inf
    gradient[start + q] = change * factor * right[row.sample * positions + q];
  }
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(
    void (*kernel)(Maps, Parameters...), cudaStream_t stream, const Maps& maps,
    Arguments... arguments) {
  const int64_t rows = maps.samples * maps.height * maps.width;
  if (rows == 0) return cudaSuccess;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3((rows + kRows - 1) / kRows);
  config.blockDim = dim3(kLanes, kRows);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, maps, arguments...);
}

}  // namespace

template <typename T>
cudaError_t similarities(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, T* logits, T* log_sum, cudaStream_t stream) {
  return launch(
      similarity_rows<T>, stream, maps, products, left, right, allowed, scale, logits, log_sum);
}

template <typename T>
cudaError_t weights(
    const Maps& maps, const T* logits, const T* log_sum, T* attention, cudaStream_t stream) {
  return launch(weight_rows<T>, stream, maps, logits, log_sum, attention);
}

template <typename T>
cudaError_t diagonal_box_sum(
    const Maps& maps, const T* matrix, bool averaged, T* result, cudaStream_t stream) {
  return launch(box_rows<T>, stream, maps, matrix, averaged, result);
}

template <typename T>
cudaError_t through_softmax(
    const Maps& maps, T* gradient, T* attention, const T* logits, const T* left, const T* right,
    T scale, cudaStream_t stream) {
  return launch(
      softmax_gradient_rows<T>, stream, maps, gradient, attention, logits, left, right, scale);
}

#define INSTANTIATE(T)                                                                            \
  template cudaError_t similarities(                                                              \
      const Maps&, const T*, const T*, const T*, const bool*, T, T*, T*, cudaStream_t);           \
  template cudaError_t weights(const Maps&, const T*, const T*, T*, cudaStream_t);                \
  template cudaError_t diagonal_box_sum(const Maps&, const T*, bool, T*, cudaStream_t);           \
  template cudaError_t through_softmax(                                                           \
      const Maps&, T*, T*, const T*, const T*, const T*, T, cudaStream_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace torchreid_occ
