// The kernels of patch attention between its matrix products, on a GPU.
//
// T is double for maps in double precision and float for all others; I is the maps' own type.
// Columns are maps of (samples, channels, H * W); matrices hold a value for each pair of positions,
// (samples, H * W, H * W): p is a position of the query, q one of the key.

#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace torchreid_occ {

struct Maps {
  int64_t samples;
  int height, width;
  int radius;  // of a patch, 1 for 3x3
};

// What sums over all pairs are computed in.
template <typename I>
using Exact = std::conditional_t<std::is_same_v<I, double>, double, float>;

constexpr int kParts = 8;  // into which sums over channels are divided

// Inverse norms of all patches, (samples, H * W). `parts` is scratch of (samples, kParts, H * W).
template <typename I, typename T = Exact<I>>
cudaError_t inverse_norms(
    const Maps& maps, int channels, const I* columns, T* parts, T* norms, cudaStream_t stream);

// Attention from inner products: their diagonal box sums times scale * left[p] * right[q], zero at
// keys that are not allowed (null allows all), through a softmax over q. The log-sum-exp of each
// row is written, or read where `is_known`.
template <typename T>
cudaError_t attention(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, bool is_known, T* log_sum, T* result, cudaStream_t stream);

// Diagonal box sums of a matrix, in the maps' own type. `averaged` divides those of p by the number
// of patches that cover it.
template <typename I, typename T = Exact<I>>
cudaError_t diagonal_box_sum(
    const Maps& maps, const T* matrix, bool averaged, I* result, cudaStream_t stream);

// From the gradient of averaged box sums of the attention to that of the inner products' box sums,
// `slope`. `pasted` has the radius of the averaging, `maps` only the sizes. `attention` becomes the
// gradient of each logit times the logit, and `dots` the sums of its rows, for the norms.
template <typename T>
cudaError_t through_softmax(
    const Maps& pasted, const T* gradient, const T* log_sum, const T* left, const T* right, T scale,
    T* attention, T* slope, T* dots, cudaStream_t stream);

// The gradient of columns: the sum of two gradients less that through the patches' norms, which do
// not move where they were raised to kEps. `second` may be null.
template <typename I, typename T = Exact<I>>
cudaError_t through_norms(
    const Maps& maps, int channels, const I* columns, const T* norms, const T* dots, const T* first,
    const T* second, I* result, cudaStream_t stream);

}  // namespace torchreid_occ
