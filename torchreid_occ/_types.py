"""Types that many modules share."""

import os
from typing import Any, TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]

# torchreid's tuple of a tracklet: paths of its frames in order, pid, camid, dsetid.
Item: TypeAlias = tuple[tuple[str, ...], int, int, int]

# A batch in torchreid's form: tensors and lists by name, see `torchreid_occ.data.clips.collate`.
Batch: TypeAlias = dict[str, Any]
