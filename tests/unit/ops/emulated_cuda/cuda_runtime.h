// Runs CUDA kernels on a CPU: what ../../../../torchreid_occ/ops/csrc/cuda needs of CUDA.
// The lanes of a warp take turns, each up to the next shuffle; warps run one after the other.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#define __global__
#define __device__

using std::exp, std::fmax, std::log, std::max, std::min, std::sqrt;

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  void* stream = nullptr;
};
using cudaStream_t = void*;
enum cudaError_t { cudaSuccess };

inline dim3 blockIdx, threadIdx;

namespace emulation {

constexpr unsigned kLanes = 32;

struct Lane {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool runs = false;
  double shown = 0;  // to the others in a shuffle
};

inline Lane lanes[kLanes];
inline ucontext_t scheduler;
inline std::function<void()> kernel;

inline void wait_for_all() {
  const unsigned lane = threadIdx.x;
  swapcontext(&lanes[lane].context, &scheduler);
}

inline void run_lane() {
  kernel();
  lanes[threadIdx.x].runs = false;
}

inline void run_warp() {
  for (Lane& lane : lanes) {
    getcontext(&lane.context);
    lane.context.uc_stack.ss_sp = lane.stack.data();
    lane.context.uc_stack.ss_size = lane.stack.size();
    lane.context.uc_link = &scheduler;
    lane.runs = true;
    makecontext(&lane.context, run_lane, 0);
  }
  for (bool any = true; any;) {
    any = false;
    for (threadIdx.x = 0; threadIdx.x < kLanes; ++threadIdx.x) {
      Lane& lane = lanes[threadIdx.x];
      if (lane.runs) swapcontext(&scheduler, &lane.context);
      any = any || lane.runs;
    }
  }
}

}  // namespace emulation

template <typename T>
T __ldg(const T* place) {
  return *place;
}

template <typename T>
T __shfl_xor_sync(unsigned, T value, int distance) {
  emulation::lanes[threadIdx.x].shown = value;
  emulation::wait_for_all();
  const T received = static_cast<T>(emulation::lanes[threadIdx.x ^ distance].shown);
  emulation::wait_for_all();
  return received;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(
    const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments... arguments) {
  emulation::kernel = [=] { kernel(arguments...); };
  for (blockIdx.x = 0; blockIdx.x < config->gridDim.x; ++blockIdx.x)
    for (threadIdx.y = 0; threadIdx.y < config->blockDim.y; ++threadIdx.y) emulation::run_warp();
  return cudaSuccess;
}
