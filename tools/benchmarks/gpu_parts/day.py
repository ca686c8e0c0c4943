"""What all parts share: device, sizes, folders and the time that is left."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]
Save = Callable[[Mapping[str, Any]], None]


@dataclass
class Day:
    """One run of the tool.

    Attributes:
        device: 'cuda' or 'cpu'.
        tiny: Whether sizes are those of a test.
        out: Folder of the results.
        root: Folder that holds the datasets; OccWalk is rendered there.
        workers: Worker processes of each loader.
        deadline: When the time is up, on the clock of `time.monotonic`.
        real: Folder that holds ``mars/``, or None.
        run_seconds: Seconds that each of the parts 'comparison' and 'real' may take at most.
    """

    device: str
    tiny: bool
    out: Path
    root: Path
    workers: int
    deadline: float
    real: Path | None = None
    run_seconds: float = float("inf")

    @property
    def use_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device == "cuda"

    @property
    def dataset(self) -> str:
        """The OccWalk that parts read."""
        return "occwalk_tiny" if self.tiny else "occwalk_small"

    @property
    def work(self) -> Path:
        """Folder for what is no result, such as checkpoints."""
        folder = self.root / "gpu_day"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def seconds_left(self) -> float:
        """Seconds until the time is up, never negative."""
        return max(0.0, self.deadline - time.monotonic())
