#pragma once

#include <c10/util/Exception.h>

#define C10_CUDA_CHECK(result) TORCH_CHECK((result) == cudaSuccess)
