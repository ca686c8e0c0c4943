// The row kernels of patch attention on a GPU. Without PyTorch's headers, which take nvcc a minute.
//
// T is double for maps in double precision and float for all others. Matrices hold a value for each
// pair of positions, (samples, H * W, H * W); p is a position of the query, q one of the key.

#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace torchreid_occ {

struct Maps {
  int64_t samples;
  int height, width;
  int radius;  // of a patch, 1 for 3x3
};

// Scaled cosine similarities: diagonal box sums of inner products times scale * left[p] * right[q],
// -inf at keys that are not allowed (null allows all), and the log-sum-exp of each row.
template <typename T>
cudaError_t similarities(
    const Maps& maps, const T* products, const T* left, const T* right, const bool* allowed,
    T scale, T* logits, T* log_sum, cudaStream_t stream);

// exp(logits - log_sum), zero in a row with nothing to attend.
template <typename T>
cudaError_t weights(
    const Maps& maps, const T* logits, const T* log_sum, T* attention, cudaStream_t stream);

// Diagonal box sums of a matrix; `averaged` divides those of p by the number of patches that cover
// it.
template <typename T>
cudaError_t diagonal_box_sum(
    const Maps& maps, const T* matrix, bool averaged, T* result, cudaStream_t stream);

// From the gradient of the attention, which is overwritten, to that of the inner products' box
// sums. `attention` becomes the gradient of each logit times the logit, for the norms.
template <typename T>
cudaError_t through_softmax(
    const Maps& maps, T* gradient, T* attention, const T* logits, const T* left, const T* right,
    T scale, cudaStream_t stream);

}  // namespace torchreid_occ
