"""Four-bit codes of features in lists of near ones, which a search of millions reads in part.

The features themselves stay in the gallery's file; those of the likely tracklets are read there and
compared exactly ("IVF-SQ with re-ranking" in FAISS's words).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from torchreid_occ.search.faiss_library import Writable, faiss, selector
from torchreid_occ.search.protocol import (
    FeatureSource,
    nearest_with_ties,
    similarities_of,
    unit_features,
)
from torchreid_occ.utils.progress import progress

LISTS_PER_ROOT = 4  # lists for the square root of the number of features
FEATURES_OF_A_LIST = 40  # that its centre is found from
ROUNDS = 8  # of finding the centres
PROBES = 256  # lists that a search reads
CANDIDATES, CANDIDATES_PER_RESULT = 100, 5  # features compared exactly
GROWTH = 2  # times the features that the lists were made for, from which they are made anew
_ROUNDING = 1e-6  # between the scores of equal codes
_BLOCK = 4096  # features read at a time


class FeatureCodes:
    """Codes of features of unit length with ids, found by their inner product.

    Args:
        feature_dim: Length of a feature.
        source: Holds the features. Those that there are now decide on the lists.
    """

    def __init__(self, feature_dim: int, source: FeatureSource) -> None:
        self._source = source
        ids = source.ids()
        self.most = GROWTH * len(ids)
        lists = _number_of_lists(len(ids))
        self._index = faiss().IndexIVFScalarQuantizer(
            faiss().IndexFlatIP(feature_dim), feature_dim, lists,
            faiss().ScalarQuantizer.QT_4bit, faiss().METRIC_INNER_PRODUCT,
        )  # fmt: skip
        clustering = self._index.cp
        clustering.spherical, clustering.niter = True, ROUNDS
        clustering.min_points_per_centroid = 1
        if len(ids):
            self._index.train(_sample(source, ids, lists * FEATURES_OF_A_LIST, feature_dim))

    @classmethod
    def read(cls, path: Path, source: FeatureSource) -> "FeatureCodes":
        """Reads codes from a file.

        Args:
            path: File that `write` wrote.
            source: Holds the features.

        Raises:
            RuntimeError: If it is no such file.
        """
        codes = cls.__new__(cls)
        codes._source = source
        with path.open("rb") as file:
            codes._index = faiss().read_index(faiss().PyCallbackIOReader(file.read))
            codes.most = int(np.load(file))
        return codes

    def write(self, file: Writable) -> None:
        """Writes the codes to a binary file.

        Args:
            file: The open file.
        """
        faiss().write_index(self._index, faiss().PyCallbackIOWriter(file.write))
        np.lib.format.write_array(file, np.array(self.most))

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """All ids in ascending order. Shape: ``(N,)``."""
        lists, found = self._index.invlists, [np.empty(0, np.int64)]
        for number in range(self._index.nlist):
            if size := lists.list_size(number):
                found.append(faiss().rev_swig_ptr(lists.get_ids(number), size).copy())
        return np.sort(np.concatenate(found))

    def __len__(self) -> int:
        return self._index.ntotal

    def add(self, features: npt.NDArray[np.float32], ids: npt.NDArray[np.int64]) -> None:
        """Adds features, at most up to `most`.

        Args:
            features: The features.
            ids: Their ids.

        Shape:
            features: ``(N, D)``; ids: ``(N,)``.
        """
        self._index.add_with_ids(features, ids)

    def remove(self, ids: npt.NDArray[np.int64]) -> None:
        """Removes features; unknown ids are ignored.

        Args:
            ids: The ids. Shape: ``(N,)``.
        """
        self._index.remove_ids(faiss().IDSelectorBatch(ids))

    def allow(self, ids: npt.NDArray[np.int64]) -> Any:
        """Makes what limits searches to some ids.

        Args:
            ids: The ids. Shape: ``(N,)``.
        """
        return selector(ids)

    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, allowed: Any
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Finds at least the nearest features, in no order.

        Args:
            feature: The query.
            top: Number of features to find; fewer where there are fewer.
            allowed: What `allow` gave; all are searched if None.

        Returns:
            Ids and similarities.

        Shape:
            feature: ``(1, D)``; results: ``(N,)`` each.
        """
        wanted = max(CANDIDATES, CANDIDATES_PER_RESULT * top)
        found = nearest_with_ties(
            lambda limit: self._candidates(feature, limit, top, allowed),
            lambda pair: pair[1],
            wanted,
            _ROUNDING,
        )
        features = self._source.features_of(int(number) for number, _ in found)
        if not features:  # removed by another process meanwhile, or none is held
            return np.empty(0, np.int64), np.empty(0, np.float32)
        read = unit_features(np.stack([*features.values()]))
        return np.array([*features], np.int64), similarities_of(read, feature[0])

    def _candidates(
        self, feature: npt.NDArray[np.float32], limit: int, top: int, allowed: Any
    ) -> list[tuple[int, float]]:
        """Returns ids and similarities of codes in the likely lists, or in all if too few are."""
        if not len(self):
            return []
        probes = PROBES
        while True:
            options = {} if allowed is None else {"sel": allowed}
            parameters = faiss().SearchParametersIVF(nprobe=probes, **options)
            (scores,), (ids,) = self._index.search(feature, limit, params=parameters)
            if ids[min(top, limit) - 1] >= 0 or probes >= self._index.nlist:
                held = ids >= 0
                return list(zip(ids[held].tolist(), scores[held].tolist(), strict=True))
            probes *= 4


def _number_of_lists(count: int) -> int:
    """Returns a power of two near a multiple of the square root, but enough features for each."""
    wanted = LISTS_PER_ROOT * count**0.5
    lists = 2 ** max(0, round(np.log2(max(wanted, 1))))
    while lists > max(1, count // FEATURES_OF_A_LIST):
        lists //= 2
    return int(lists)


def _sample(
    source: FeatureSource, ids: npt.NDArray[np.int64], count: int, feature_dim: int
) -> npt.NDArray[np.float32]:
    """Reads features of random ids, scaled to unit length. Shape: ``(N, D)``."""
    chosen = np.random.default_rng(0).permutation(ids)[:count]
    blocks = np.array_split(np.sort(chosen), -(-len(chosen) // _BLOCK))
    read = [np.empty((0, feature_dim), np.float32)]
    for block in progress(blocks, "reading a sample", len(blocks), "block"):
        features = source.features_of(block.tolist())
        read.append(np.stack([*features.values()]) if features else read[0])
    return unit_features(np.concatenate(read))
