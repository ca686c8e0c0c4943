"""MSMT17."""

import re
from pathlib import Path
from typing import Any

from torchreid_occ._registry import register_dataset
from torchreid_occ._torchreid import torchreid
from torchreid_occ._types import StrPath
from torchreid_occ.data.datasets.base import Counts, DatasetReader, Statistics, Subsets, relabel

# Folder of a version, and in it those of its training and test images.
VERSIONS = {
    "MSMT17_V1": ("train", "test"),
    "MSMT17_V2": ("mask_train_v2", "mask_test_v2"),
}
LISTS = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")


@register_dataset("msmt17", kind="image")
class MSMT17(DatasetReader, torchreid.data.ImageDataset):
    """MSMT17: 15 cameras in- and outdoors, four days.

    Unlike torchreid's reader it trains on the training and the validation list, which is the
    training set that papers print (32,621 images), without query and gallery; torchreid adds the
    validation list only together with these (``combineall``).

    Reference:
        Wei et al. Person Transfer GAN to Bridge Domain Gap for Person Re-Identification. CVPR 2018.

    URL: `<https://www.pkuvmc.com/dataset.html>`_ (ask the authors for the data).

    Dataset statistics:
        - identities: 1041 (train) + 3060 (test).
        - images: 30248 (train) + 2373 (validation) + 11659 (query) + 82161 (gallery).
        - cameras: 15.

    Folders below root::

        msmt17/
            MSMT17_V1/                   or MSMT17_V2/ with mask_train_v2/ and mask_test_v2/
                list_train.txt           rows of an image's path and its person
                list_val.txt
                list_query.txt
                list_gallery.txt
                train/
                    0000/
                        0000_000_01_0303morning_0015_0.jpg
                test/

    Args:
        root: Folder that holds the datasets.
        split_id: Ignored: there is one split.
        train_val: Whether the validation list belongs to the training set.
        **kwargs: torchreid's.
    """

    dataset_dir = Path("msmt17")

    def __init__(
        self, root: StrPath = "", split_id: int = 0, train_val: bool = True, **kwargs: Any
    ) -> None:
        self.train_val = train_val
        folder = Path(root).expanduser() / self.dataset_dir
        self._version = next((name for name in VERSIONS if (folder / name).is_dir()), "MSMT17_V1")
        self.required = tuple(f"{self._version}/{name}" for name in LISTS + self._folders)
        self.paper_statistics = Statistics(
            train=Counts(identities=1041, frames=32621 if train_val else 30248),
            query=Counts(identities=3060, frames=11659),
            gallery=Counts(identities=3060, frames=82161),
        )
        super().__init__(root, split_id, **kwargs)

    @property
    def _folders(self) -> tuple[str, str]:
        return VERSIONS[self._version]

    def read(self, split_id: int) -> Subsets:
        """Lists the images of each list; persons are in the lists, cameras in the names."""
        train_folder, test_folder = self._folders
        train, val, query, gallery = (
            self._images(name, folder)
            for name, folder in zip(
                LISTS, (train_folder, train_folder, test_folder, test_folder), strict=True
            )
        )
        # Paper silent [D6]: the training set of the papers' tables is that of both lists.
        return relabel(train + val if self.train_val else train), query, gallery

    def _images(self, name: str, folder: str) -> list[tuple[str, int, int]]:
        version = self.dataset_dir / self._version
        path = version / name
        items = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.fullmatch(r"((?:\S*/)?\d+_\d+_(\d+)_\S+) (\d+)\s*", line)
            if match is None:
                raise ValueError(
                    f"{path}, line {number}: expected a row such as "
                    f"0000/0000_000_01_0303morning_0015_0.jpg 0, but found {line!r}."
                )
            items.append((f"{version}/{folder}/{match[1]}", int(match[3]), int(match[2]) - 1))
        return items
