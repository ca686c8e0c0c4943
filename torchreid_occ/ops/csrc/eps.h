// Without PyTorch's headers, which take nvcc a minute.

#pragma once

namespace torchreid_occ {

constexpr double kEps = 1e-12;  // least norm of a patch

}  // namespace torchreid_occ
