// Diagonal box sums, and what they read and write.
//
// A walk is a warp that has a row of the query's map and 32 positions of the key's, and goes along
// the row, p and q together, so that for 3x3 patches each step reads three values, the column of a
// patch, and adds it to those of the steps before and after. Where q comes to the end of its row it
// goes on at its start, which breaks the sum, and keeps all lanes busy. Neighbouring lanes read
// neighbouring values; the other warps of a block have neighbouring rows, so that what several of
// them read stays in the first-level cache.

#pragma once

#include "warps.cuh"

namespace torchreid_occ {
namespace {

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

// Warps that follow one another have neighbouring rows of the query's map.
template <typename T, typename Load, typename Store>
cudaError_t walk_all(const Maps& maps, const Load& load, const Store& store, cudaStream_t stream) {
  const int64_t warps = tiles_of(maps) * maps.height;
  return maps.radius == 1 ? launch(walk<true, T, Load, Store>, warps, stream, maps, load, store)
                          : launch(walk<false, T, Load, Store>, warps, stream, maps, load, store);
}

}  // namespace
}  // namespace torchreid_occ
