// Sums over the patches of a map, and T: over pairs of positions that move together within a patch,
// T(A)[p, q] = sum of A[p + d, q + d] over its offsets d, vertical ones first.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace torchreid_occ {

struct Map {
  int64_t height, width, radius;
  int64_t positions() const { return height * width; }
  int64_t ring() const { return 2 * radius + 1; }  // rows that one of T's rows is made of
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
template <typename T, typename S>
void sum_rows(const Map& map, const S* matrix, int64_t p, T* __restrict result) {
  const int64_t n = map.positions();
  std::copy(matrix + p * n, matrix + (p + 1) * n, result);
  for (int64_t offset = 1; offset <= map.radius; ++offset) {
    const int64_t step = offset * map.width;
    if (p - step >= 0) {
      const S* __restrict other = matrix + (p - step) * n;
      for (int64_t q = step; q < n; ++q) result[q] += T(other[q - step]);
    }
    if (p + step < n) {
      const S* __restrict other = matrix + (p + step) * n;
      for (int64_t q = 0; q < n - step; ++q) result[q] += T(other[q + step]);
    }
  }
}

// Second half of T for one row: the sum over horizontal offsets; `halves` is a ring of first halves.
template <typename T>
void sum_columns(
    const Map& map, const std::vector<T>& masks, const T* halves, int64_t p, T* __restrict result) {
  const int64_t n = map.positions(), column = p % map.width, kept = map.ring();
  const T* own = halves + p % kept * n;
  std::copy(own, own + n, result);
  for (int64_t offset = 1; offset <= map.radius; ++offset) {
    if (column - offset >= 0) {
      const T* __restrict other = halves + (p - offset) % kept * n;
      const T* __restrict mask = masks.data() + (map.radius - offset) * n;
      for (int64_t q = offset; q < n; ++q) result[q] += mask[q] * other[q - offset];
    }
    if (column + offset < map.width) {
      const T* __restrict other = halves + (p + offset) % kept * n;
      const T* __restrict mask = masks.data() + (map.radius + offset) * n;
      for (int64_t q = 0; q < n - offset; ++q) result[q] += mask[q] * other[q + offset];
    }
  }
}

// T of a matrix, elsewhere; each finished row is handed to `finish`. Of first halves only the few
// that are needed are kept, which stay in the innermost cache.
template <typename T, typename S, typename Finish>
void diagonal_box_sum(
    const Map& map,
    const std::vector<T>& masks,
    const S* matrix,
    T* result,
    const Finish& finish) {
  const int64_t n = map.positions();
  std::vector<T> halves(map.ring() * n);
  for (int64_t p = 0, next = 0; p < n; ++p) {
    for (; next < std::min(n, p + map.radius + 1); ++next)
      sum_rows(map, matrix, next, halves.data() + next % map.ring() * n);
    sum_columns(map, masks, halves.data(), p, result + p * n);
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

}  // namespace torchreid_occ
