import numpy as np
import pytest
from PIL import Image

from torchreid_occ.metrics import rank_lists
from torchreid_occ.report.queries import (
    compare_with_clean,
    hardest,
    precision_by_label,
    show_query,
)
from torchreid_occ.report.retrieval import Retrieval


@pytest.fixture
def tracklet(tmp_path):
    Image.new("RGB", (8, 16)).save(tmp_path / "frame.png")
    return lambda pid, camid: ((str(tmp_path / "frame.png"),), pid, camid, 0)


@pytest.fixture
def retrieval(tracklet):
    """Of four queries: lost to occlusion, matched, without a match, lost in both."""
    query = [tracklet(pid, 0) for pid in (1, 2, 9, 3)]
    gallery = [tracklet(1, 0), tracklet(3, 1), tracklet(2, 1), tracklet(1, 1)]
    occluded = np.array(
        [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.1, 0.2], [0.1] * 4, [0.1, 0.4, 0.2, 0.3]]
    )
    clean = np.array([[0.1, 0.3, 0.4, 0.2], [0.4, 0.3, 0.1, 0.2], [0.1] * 4, [0.1, 0.4, 0.2, 0.3]])

    def searched(name, distmat, precisions, **beside):
        labels = [1, 2, 9, 3], [1, 3, 2, 1], [0] * 4, [0, 1, 1, 1]
        lists = rank_lists(distmat, *labels, length=2)
        results = {"mAP": 0.5, "cmc": {}, "average_precisions": precisions}
        return Retrieval(name, results, lists, query, gallery, **beside)

    return searched(
        "here", occluded, [1 / 3, 1.0, None, 0.25], labels=np.array([7, 3, 3, 7]),
        clean=searched("here.clean", clean, [1.0, 1.0, None, 0.25]),
    )  # fmt: skip


def test_the_hardest_queries_come_first_without_unmatched_ones(retrieval):
    assert hardest(retrieval.results, 10) == [3, 0, 1]
    assert hardest(retrieval.results, 1) == [3]


def test_a_list_omits_the_querys_camera_and_ends_with_a_later_match(retrieval):
    query = show_query(retrieval, 0)
    assert [(found.rank, found.right, found.pid, found.camid) for found in query.ranked] == [
        (1, False, 3, 1),
        (2, False, 2, 1),
        (3, True, 1, 1),
    ]
    assert (query.precision, query.first_rank, query.label) == (1 / 3, 3, 7)
    assert (query.clean.precision, query.clean.first_rank) == (1.0, 1)
    assert query.clean.strip.uri.startswith("data:image/jpeg;base64,")


def test_without_a_clean_form_and_labels_none_are_shown(retrieval):
    query = show_query(retrieval._replace(clean=None, labels=None), 1)
    assert query.label is query.clean is None
    assert [found.right for found in query.ranked] == [True, False]


def test_queries_are_counted_with_occluders_and_without(retrieval):
    counts = {"both": 1, "only_clean": 1, "only_occluded": 0, "neither": 1}
    assert compare_with_clean(retrieval)._asdict() == counts


def test_precision_is_averaged_by_label_over_queries_with_a_match(retrieval):
    labels, rows, counts = precision_by_label(retrieval)
    assert (labels, counts) == ([3, 7], [1, 2])
    assert rows["here"] == pytest.approx([1.0, (1 / 3 + 0.25) / 2])
    assert rows["here.clean"] == pytest.approx([1.0, 0.625])
