// Three kinds of kernels.
//
// A walk computes a diagonal box sum: a warp has a row of the query's map and 32 positions of the
// key's, and walks along the row, p and q together, so that for 3x3 patches each step reads three
// values, the column of a patch, and adds it to those of the steps before and after. Where q comes to
// the end of its row it goes on at its start, which breaks the sum, and keeps all lanes busy.
// Neighbouring lanes read neighbouring values; the other warps of a block have neighbouring rows, so
// that what several of them read stays in the first-level cache.
//
// For sums over q a warp has a row of a matrix, its lanes take the columns in turn.
//
// Over columns, a warp has 32 positions of a sample, and one of kParts parts of the channels.

#include "patch_attention_kernels.h"

#include <cmath>

#include "../eps.h"

namespace torchreid_occ {
namespace {

constexpr int kLanes = 32;
constexpr int kWarps = 8;  // of a block
constexpr unsigned kAll = 0xffffffff;

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

__device__ bool is_within(int place, int length) {
  return static_cast<unsigned>(place) < static_cast<unsigned>(length);
}

// One over the number of patches that cover a place along one side of a map.
template <bool kIsThree, typename T>
__device__ T inverse_cover(int radius, int place, int length) {
  if constexpr (kIsThree) {  // without a division for each pair
    return place > 0 && place + 1 < length ? T(1) / 3 : length > 1 ? T(1) / 2 : T(1);
  }
  return T(1) / (min(radius, place) + min(radius, length - 1 - place) + 1);
}

// One over the number of patches that cover a position.
template <bool kIsThree, typename T>
__device__ T inverse_cover(const Maps& maps, const Position& p) {
  return inverse_cover<kIsThree, T>(maps.radius, p.row, maps.height) *
         inverse_cover<kIsThree, T>(maps.radius, p.column, maps.width);
}

// Attention from a logit, none in a row with nothing to attend.
template <typename T>
__device__ T weight_of(T logit, T log_sum) {
  const T weight = exp(logit - log_sum);
  return log_sum == -infinity<T>() ? T(0) : weight;
}

// What walks read and write. `place` is p * H * W + q within a sample, `p` the position itself.

template <typename T>
struct Plain {
  const T* matrix;
  __device__ void enter(int64_t sample, int64_t pairs, int) { matrix += sample * pairs; }
  template <bool kIsThree>
  __device__ T get(int64_t place, const Position&) const { return __ldg(matrix + place); }
};

// Divided by the number of patches that cover p.
template <typename T>
struct Averaged {
  const T* matrix;
  Maps maps;
  __device__ void enter(int64_t sample, int64_t pairs, int) { matrix += sample * pairs; }
  template <bool kIsThree>
  __device__ T get(int64_t place, const Position& p) const {
    return inverse_cover<kIsThree, T>(maps, p) * __ldg(matrix + place);
  }
};

// Box sums in the maps' own type, `averaged` as above.
template <typename I, typename T>
struct Converted {
  I* result;
  Maps maps;
  bool averaged;
  __device__ void enter(int64_t sample, int64_t pairs, int) { result += sample * pairs; }
  template <bool kIsThree>
  __device__ void put(int64_t place, const Position& p, int, T sum) const {
    result[place] = static_cast<I>(averaged ? inverse_cover<kIsThree, T>(maps, p) * sum : sum);
  }
};

// Logits from box sums of inner products, -inf at keys that are not allowed.
template <typename T>
struct Scaled {
  const T* left;
  const T* right;
  const bool* allowed;
  T scale;
  T* result;
  __device__ void enter(int64_t sample, int64_t pairs, int positions) {
    left += sample * positions;
    right += sample * positions;
    if (allowed != nullptr) allowed += sample * positions;
    result += sample * pairs;
  }
  __device__ T logit(const Position& p, int q, T sum) const {
    bool is_allowed = true;
    if (allowed != nullptr) is_allowed = allowed[q];
    const T factor = scale * __ldg(left + p.index) * __ldg(right + q);
    return is_allowed ? factor * sum : -infinity<T>();
  }
  template <bool kIsThree>
  __device__ void put(int64_t place, const Position& p, int q, T sum) const {
    result[place] = logit(p, q, sum);
  }
};

// Attention where the log-sum-exp of the logits' rows is known.
template <typename T>
struct Weighted {
  Scaled<T> scaled;
  const T* log_sum;
  __device__ void enter(int64_t sample, int64_t pairs, int positions) {
    scaled.enter(sample, pairs, positions);
    log_sum += sample * positions;
  }
  template <bool kIsThree>
  __device__ void put(int64_t place, const Position& p, int q, T sum) const {
    scaled.result[place] = weight_of(scaled.logit(p, q, sum), __ldg(log_sum + p.index));
  }
};

// A walk's place: the row of p, and the row of the map in which q goes round.
struct Way {
  int row, q_row;
  int64_t side, down;  // from a pair to the next one along a row, and to that a row below
};

// The column of a patch: sums over its vertical offsets.
template <bool kIsThree, typename T, typename Load>
__device__ T column_sum(
    const Maps& maps, const Way& way, const Load& load, int64_t place, const Position& p) {
  const int radius = kIsThree ? 1 : maps.radius;
  T sum = 0;
#pragma unroll
  for (int i = -radius; i <= radius; ++i)
    if (is_within(way.row + i, maps.height) & is_within(way.q_row + i, maps.height))
      sum += load.template get<kIsThree>(
          place + i * way.down, {p.index + i * maps.width, way.row + i, p.column});
  return sum;
}

// For patches of 3x3 the columns before, at and after a step are kept.
template <typename T, typename Load, typename Store>
__device__ void walk_with_threes(
    const Maps& maps, const Way& way, const Load& load, const Store& store, int64_t place,
    Position p, int q) {
  const int first = way.q_row * maps.width, last = first + maps.width - 1;
  T before = 0, here = column_sum<true, T>(maps, way, load, place, p);
#pragma unroll 4
  for (; p.column + 1 < maps.width; ++p.column, ++p.index) {
    const bool ends = q == last;
    const int64_t next = place + way.side - (ends ? maps.width : 0);
    const T after =
        column_sum<true, T>(maps, way, load, next, {p.index + 1, way.row, p.column + 1});
    store.template put<true>(place, p, q, before + here + (ends ? T(0) : after));
    before = ends ? T(0) : here;
    here = after;
    place = next;
    q = ends ? first : q + 1;
  }
  store.template put<true>(place, p, q, before + here);
}

template <typename T, typename Load, typename Store>
__device__ void walk_with_any(
    const Maps& maps, const Way& way, const Load& load, const Store& store, int64_t place,
    Position p, int q) {
  const int first = way.q_row * maps.width, last = first + maps.width - 1;
  for (; p.column < maps.width; ++p.column, ++p.index) {
    T sum = 0;
    for (int j = -maps.radius; j <= maps.radius; ++j)
      if (is_within(p.column + j, maps.width) && q + j >= first && q + j <= last)
        sum += column_sum<false, T>(
            maps, way, load, place + j * way.side, {p.index + j, way.row, p.column + j});
    store.template put<false>(place, p, q, sum);
    place += way.side - (q == last ? maps.width : 0);
    q = q == last ? first : q + 1;
  }
}

// Diagonal box sums of what `load` gives, to `store`. With `kIsThree` patches are 3x3.
template <bool kIsThree, typename T, typename Load, typename Store>
__global__ void walk(Maps maps, Load load, Store store) {
  const int positions = positions_of(maps), tiles = (positions + kLanes - 1) / kLanes;
  const int64_t warp = own_warp(), sample = warp / maps.height / tiles;
  const int row = static_cast<int>(warp % maps.height);
  const int q = static_cast<int>(warp / maps.height % tiles) * kLanes + threadIdx.x;
  if (sample >= maps.samples || q >= positions) return;
  const int64_t side = positions + 1;
  load.enter(sample, static_cast<int64_t>(positions) * positions, positions);
  store.enter(sample, static_cast<int64_t>(positions) * positions, positions);
  const Way way{row, q / maps.width, side, side * maps.width};
  const Position p{row * maps.width, row, 0};
  const int64_t place = static_cast<int64_t>(p.index) * positions + q;
  if constexpr (kIsThree)
    walk_with_threes<T>(maps, way, load, store, place, p, q);
  else
    walk_with_any<T>(maps, way, load, store, place, p, q);
}

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
  return maps.samples * ((maps.height * maps.width + kLanes - 1) / kLanes);
}

// Warps that follow one another have neighbouring rows of the query's map.
template <typename T, typename Load, typename Store>
cudaError_t walk_all(const Maps& maps, const Load& load, const Store& store, cudaStream_t stream) {
  const int64_t warps = tiles_of(maps) * maps.height;
  return maps.radius == 1 ? launch(walk<true, T, Load, Store>, warps, stream, maps, load, store)
                          : launch(walk<false, T, Load, Store>, warps, stream, maps, load, store);
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
