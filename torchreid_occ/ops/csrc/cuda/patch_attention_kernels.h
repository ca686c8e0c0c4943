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

// Logits from inner products: their diagonal box sums times scale * left[p] * right[q], -inf at keys
// that are not allowed (null allows all). Where the log-sum-exp of their rows is known (not null),
// attention instead.
template <typename T>
cudaError_t logits(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, const T* log_sum, T* result, cudaStream_t stream);

// Logits become attention, and the log-sum-exp of each row is written, -inf where there is nothing
// to attend.
template <typename T>
cudaError_t softmax(const Maps& maps, T* matrix, T* log_sum, cudaStream_t stream);

// What each position takes of each key: diagonal box sums of the attention, divided by the number
// of patches that cover p.
template <typename I, typename T = Exact<I>>
cudaError_t pasted(const Maps& maps, const T* attention, I* result, cudaStream_t stream);

// From the gradient of the pasted attention to that of the attention.
template <typename T>
cudaError_t through_pasting(const Maps& maps, const T* gradient, T* result, cudaStream_t stream);

// From the gradient of the attention, in place, to that of the inner products' box sums.
// `attention` becomes the gradient of each logit times the logit, and `dots` the sums of its rows,
// for the norms.
template <typename T>
cudaError_t through_softmax(
    const Maps& maps, const T* log_sum, const T* left, const T* right, T scale, T* attention,
    T* gradient, T* dots, cudaStream_t stream);

// From the gradient of the inner products' box sums to that of the inner products.
template <typename I, typename T = Exact<I>>
cudaError_t through_products(
    const Maps& maps, const T* gradient, I* result, cudaStream_t stream);

// The gradient of columns: the sum of two gradients less that through the patches' norms, which do
// not move where they were raised to kEps. `second` may be null.
template <typename I, typename T = Exact<I>>
cudaError_t through_norms(
    const Maps& maps, int channels, const I* columns, const T* norms, const T* dots, const T* first,
    const T* second, I* result, cudaStream_t stream);

}  // namespace torchreid_occ
