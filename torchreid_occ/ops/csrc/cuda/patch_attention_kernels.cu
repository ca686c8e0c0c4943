// Kernels over pairs: a warp has a row of a matrix, its lanes take the columns in turn, so that
// neighbouring lanes read neighbouring values. The rows that a box sum reads are those of the other
// warps of its block, and stay in the first-level cache. Patches of 1x1 and 3x3 are compiled with
// their size, so that all loads of a box are issued before the first addition.
//
// Kernels over columns: a warp has 32 positions of a sample, and one of kParts parts of channels.

#include "patch_attention_kernels.h"

#include <cmath>

#include "../eps.h"

namespace torchreid_occ {
namespace {

constexpr int kLanes = 32;
constexpr int kWarps = 8;  // of a block
constexpr unsigned kAll = 0xffffffff;
constexpr int kAnyRadius = -1;

template <typename T>
__device__ constexpr T infinity() {
  return static_cast<T>(INFINITY);
}

__device__ int positions_of(const Maps& maps) { return maps.height * maps.width; }

__device__ int64_t own_warp() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y; }

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

struct Position {
  int index, row, column;  // index is row * width + column
};

__device__ bool is_inside(const Maps& maps, int row, int column) {
  return static_cast<unsigned>(row) < static_cast<unsigned>(maps.height) &&
         static_cast<unsigned>(column) < static_cast<unsigned>(maps.width);
}

// How many patches cover a position.
__device__ int cover(const Maps& maps, int row, int column) {
  const int rows = min(maps.radius, row) + min(maps.radius, maps.height - 1 - row) + 1;
  const int columns = min(maps.radius, column) + min(maps.radius, maps.width - 1 - column) + 1;
  return rows * columns;
}

// One row of a matrix of pairs.
struct Row {
  int64_t index, sample;  // the row's number among all samples' and whose it is
  Position p;
  bool exists;
};

__device__ Row own_row(const Maps& maps) {
  const int positions = positions_of(maps);
  const int64_t index = own_warp();
  const int p = static_cast<int>(index % positions);
  return {index, index / positions, {p, p / maps.width, p % maps.width},
          index < maps.samples * positions};
}

// Calls `work(q)` for each of the columns that a lane has, without a division for each.
template <typename Work>
__device__ void for_each_key(const Maps& maps, const Work& work) {
  const int rows = kLanes / maps.width, columns = kLanes % maps.width;
  const int lane = threadIdx.x;
  Position q{lane, lane / maps.width, lane % maps.width};
  while (q.index < positions_of(maps)) {
    work(q);
    q.index += kLanes;
    q.row += rows;
    q.column += columns;
    if (q.column >= maps.width) {
      q.column -= maps.width;
      ++q.row;
    }
  }
}

// The sum over all offsets (i, j) of a patch of the entry of the pair (p, q) moved by it, times
// `factor(i, j)`. `matrix` is the sample's.
template <int kRadius, typename T, typename Factor>
__device__ T box(
    const Maps& maps, const T* matrix, const Position& p, const Position& q,
    const Factor& factor) {
  const int radius = kRadius == kAnyRadius ? maps.radius : kRadius;
  const int64_t step = positions_of(maps) + 1;  // from a pair to the next one along a row
  const T* centre = matrix + static_cast<int64_t>(p.index) * positions_of(maps) + q.index;
  T sum = 0;
#pragma unroll
  for (int i = -radius; i <= radius; ++i)
#pragma unroll
    for (int j = -radius; j <= radius; ++j)
      if (is_inside(maps, p.row + i, p.column + j) && is_inside(maps, q.row + i, q.column + j))
        sum += factor(i, j) * centre[(i * maps.width + j) * step];
  return sum;
}

// The logarithm of a sum of exponentials. The maximum runs along: a fixed one is safe for small
// scales only.
template <typename T>
struct LogSum {
  T most = -infinity<T>(), sum = 0;

  __device__ void add(T logit) {
    if (logit > most) {
      sum = sum * exp(most - logit) + 1;
      most = logit;
    } else {
      sum += exp(logit - most);
    }
  }

  // Of all lanes together, -inf where nothing was added.
  __device__ T of_lanes() const {
    const T top = max_of_lanes(most);
    const T total = sum_of_lanes(sum == 0 ? T(0) : sum * exp(most - top));
    return total == 0 ? -infinity<T>() : top + log(total);
  }
};

template <int kRadius, typename T>
__global__ void attention_rows(
    Maps maps, const T* products, const T* left, const T* right, const bool* allowed, T scale,
    bool is_known, T* log_sum, T* result) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = positions_of(maps);
  const int64_t first = row.sample * positions;
  const T* own = products + first * positions;
  T* attended = result + row.index * positions;
  const T factor = scale * left[row.index];
  LogSum<T> sum;
  for_each_key(maps, [&](const Position& q) {
    T logit = -infinity<T>();
    if (allowed == nullptr || allowed[first + q.index]) {
      logit = box<kRadius>(maps, own, row.p, q, [](int, int) { return T(1); });
      logit *= factor * right[first + q.index];
      if (!is_known) sum.add(logit);
    }
    attended[q.index] = logit;
  });
  const T total = is_known ? log_sum[row.index] : sum.of_lanes();
  if (!is_known && threadIdx.x == 0) log_sum[row.index] = total;
  for (int q = threadIdx.x; q < positions; q += kLanes)
    attended[q] = total == -infinity<T>() ? T(0) : exp(attended[q] - total);
}

template <int kRadius, typename I, typename T>
__global__ void box_rows(Maps maps, const T* matrix, bool averaged, I* result) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int64_t positions = positions_of(maps);
  const T* own = matrix + row.sample * positions * positions;
  I* summed = result + row.index * positions;
  const T factor = T(1) / (averaged ? cover(maps, row.p.row, row.p.column) : 1);
  for_each_key(maps, [&](const Position& q) {
    const T sum = box<kRadius>(maps, own, row.p, q, [](int, int) { return T(1); });
    summed[q.index] = static_cast<I>(factor * sum);
  });
}

template <int kRadius, typename T>
__global__ void softmax_gradient_rows(
    Maps maps, const T* gradient, const T* log_sum, const T* left, const T* right, T scale,
    T* attention, T* slope, T* dots) {
  const Row row = own_row(maps);
  if (!row.exists) return;
  const int positions = positions_of(maps);
  const int64_t first = row.sample * positions;
  T* attended = attention + row.index * positions;
  T* slopes = slope + row.index * positions;
  const auto averaged = [&](int i, int j) {  // by the patches that cover what was pasted
    return T(1) / cover(maps, row.p.row + i, row.p.column + j);
  };
  T mean = 0;
  for_each_key(maps, [&](const Position& q) {
    const T received = box<kRadius>(maps, gradient + first * positions, row.p, q, averaged);
    slopes[q.index] = received;
    mean += received * attended[q.index];
  });
  mean = sum_of_lanes(mean);
  const T factor = scale * left[row.index], total = log_sum[row.index];
  T dot = 0;
  for (int q = threadIdx.x; q < positions; q += kLanes) {
    const T weight = attended[q];
    const T change = weight * (slopes[q] - mean);
    const T moved = weight > 0 ? change * (log(weight) + total) : T(0);  // the logit, from its weight
    attended[q] = moved;
    slopes[q] = change * factor * right[first + q];
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
      if (is_inside(maps, q.row + i, q.column + j)) sum += value(q.index + i * maps.width + j);
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
  T square = 0;
  for (int part = 0; part < kParts; ++part)
    square += patch_sum<T>(maps, {q, q / maps.width, q % maps.width}, [&](int other) {
      return own[static_cast<int64_t>(part) * positions + other];
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
  for (int c = own.part; c < channels; c += kParts) {
    const int64_t place = (own.sample * channels + c) * positions + own.q.index;
    const T gradient = second == nullptr ? first[place] : first[place] + second[place];
    result[place] = static_cast<I>(gradient - less * static_cast<T>(columns[place]));
  }
}

template <typename... Parameters, typename... Arguments>
cudaError_t launch(
    void (*kernel)(Maps, Parameters...), int64_t warps, cudaStream_t stream, const Maps& maps,
    Arguments... arguments) {
  if (warps == 0) return cudaSuccess;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3((warps + kWarps - 1) / kWarps);
  config.blockDim = dim3(kLanes, kWarps);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, maps, arguments...);
}

int64_t rows_of(const Maps& maps) { return maps.samples * maps.height * maps.width; }

int64_t tiles_of(const Maps& maps) {
  return maps.samples * kParts * ((maps.height * maps.width + kLanes - 1) / kLanes);
}

// Calls `work` with the radius as a constant where kernels are compiled for it.
template <typename Work>
cudaError_t with_radius(const Maps& maps, const Work& work) {
  if (maps.radius == 0) return work(std::integral_constant<int, 0>());
  if (maps.radius == 1) return work(std::integral_constant<int, 1>());
  return work(std::integral_constant<int, kAnyRadius>());
}

}  // namespace

template <typename I, typename T>
cudaError_t inverse_norms(
    const Maps& maps, int channels, const I* columns, T* parts, T* norms, cudaStream_t stream) {
  const cudaError_t error =
      launch(square_columns<I, T>, tiles_of(maps), stream, maps, channels, columns, parts);
  if (error != cudaSuccess) return error;
  const int64_t warps = (rows_of(maps) + kLanes - 1) / kLanes;
  return launch(norm_rows<T>, warps, stream, maps, parts, norms);
}

template <typename T>
cudaError_t attention(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, bool is_known, T* log_sum, T* result, cudaStream_t stream) {
  return with_radius(maps, [&](auto radius) {
    return launch(
        attention_rows<decltype(radius)::value, T>, rows_of(maps), stream, maps, products, left,
        right, allowed, scale, is_known, log_sum, result);
  });
}

template <typename I, typename T>
cudaError_t diagonal_box_sum(
    const Maps& maps, const T* matrix, bool averaged, I* result, cudaStream_t stream) {
  return with_radius(maps, [&](auto radius) {
    return launch(
        box_rows<decltype(radius)::value, I, T>, rows_of(maps), stream, maps, matrix, averaged,
        result);
  });
}

template <typename T>
cudaError_t through_softmax(
    const Maps& pasted, const T* gradient, const T* log_sum, const T* left, const T* right, T scale,
    T* attention, T* slope, T* dots, cudaStream_t stream) {
  return with_radius(pasted, [&](auto radius) {
    return launch(
        softmax_gradient_rows<decltype(radius)::value, T>, rows_of(pasted), stream, pasted,
        gradient, log_sum, left, right, scale, attention, slope, dots);
  });
}

template <typename I, typename T>
cudaError_t through_norms(
    const Maps& maps, int channels, const I* columns, const T* norms, const T* dots, const T* first,
    const T* second, I* result, cudaStream_t stream) {
  return launch(
      norm_gradient_columns<I, T>, tiles_of(maps), stream, maps, channels, columns, norms, dots,
      first, second, result);
}

#define INSTANTIATE_EXACT(T)                                                                  \
  template cudaError_t attention(                                                             \
      const Maps&, const T*, const T*, const T*, const bool*, T, bool, T*, T*, cudaStream_t); \
  template cudaError_t through_softmax(                                                       \
      const Maps&, const T*, const T*, const T*, const T*, T, T*, T*, T*, cudaStream_t);
INSTANTIATE_EXACT(float)
INSTANTIATE_EXACT(double)

#define INSTANTIATE(I)                                                                           \
  template cudaError_t inverse_norms(                                                            \
      const Maps&, int, const I*, Exact<I>*, Exact<I>*, cudaStream_t);                           \
  template cudaError_t diagonal_box_sum(const Maps&, const Exact<I>*, bool, I*, cudaStream_t);   \
  template cudaError_t through_norms(                                                            \
      const Maps&, int, const I*, const Exact<I>*, const Exact<I>*, const Exact<I>*,             \
      const Exact<I>*, I*, cudaStream_t);
INSTANTIATE(float)
INSTANTIATE(double)
INSTANTIATE(c10::Half)
INSTANTIATE(c10::BFloat16)

}  // namespace torchreid_occ
