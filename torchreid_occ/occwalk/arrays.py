"""Types of the renderer's arrays."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# Pictures (blue first), masks and labels, of eight bits; typed as the results of OpenCV.
Pixels: TypeAlias = npt.NDArray[np.integer[Any] | np.floating[Any]]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
