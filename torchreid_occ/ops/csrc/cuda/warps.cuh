// Warps: what they have, how their lanes add up, how they are launched.

#pragma once

#include <cmath>

#include "patch_attention_kernels.h"

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

}  // namespace
}  // namespace torchreid_occ
