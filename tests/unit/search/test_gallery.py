import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from torchreid_occ.engine.evaluation import Features, distance_matrix
from torchreid_occ.search import KINDS, Gallery, GalleryTracklet
from torchreid_occ.search.answer import as_table
from torchreid_occ.search.engines import FILE
from torchreid_occ.search.pipeline import search_elsewhere, search_for
from torchreid_occ.search.query import SearchQuery

HASH, DIM = "a1" * 32, 8


def tracklets(count, start=0):
    return [
        GalleryTracklet(f"t{n}", (f"/frames/{n}/1.jpg", f"/frames/{n}/2.jpg"), n % 3)
        for n in range(start, start + count)
    ]


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((60, DIM)).astype("f4")


@pytest.fixture(params=KINDS)
def gallery(request, tmp_path, features):
    made = Gallery.create(tmp_path / "a gallery", HASH, DIM, request.param)
    made.add(tracklets(60), features, HASH)
    return made


def names(matches):
    return [match.tracklet.name for match in matches]


def index_files(gallery):
    return list(gallery.folder.glob("index-*.faiss"))


def test_distances_and_order_are_those_of_the_engines_test(gallery, features):
    query = np.random.default_rng(1).standard_normal(DIM).astype("f4")
    sets = [Features(torch.from_numpy(own), None, None) for own in (query[None], 3 * features)]
    expected = distance_matrix(*sets, "cosine")[0]
    found = gallery.search(query, HASH, top=60)
    assert [match.id - 1 for match in found] == np.argsort(expected).tolist()
    np.testing.assert_allclose([m.distance for m in found], np.sort(expected), atol=2e-6)
    assert found[0].tracklet == tracklets(60)[np.argmin(expected)]


def test_a_camera_is_left_out(gallery, features):
    found = gallery.search(features[4], HASH, top=60, other_than_camera=1)
    assert {match.tracklet.camera for match in found} == {0, 2} and len(found) == 40
    assert names(gallery.search(features[4], HASH, top=1)) == ["t4"]


def test_several_cameras_are_left_out(gallery, features):
    gallery.add([GalleryTracklet("x", ("/x.jpg",))], features[4:5], HASH)
    for cameras in ([0, 1], (0, 1), {0, 1}, np.array([0, 1]).tolist()):
        found = gallery.search(features[4], HASH, top=60, other_than_camera=cameras)
        assert {match.tracklet.camera for match in found} == {2, None} and len(found) == 21
    assert len(gallery.search(features[4], HASH, top=70, other_than_camera=[])) == 61


def test_no_distance_is_below_zero(gallery):
    rng = np.random.default_rng(2)
    queries = rng.standard_normal((40, DIM)).astype("f4")
    new = [GalleryTracklet(f"q{n}", (f"/q/{n}.jpg",)) for n in range(40)]
    gallery.add(new, queries, HASH)
    for query in queries:
        (match,) = gallery.search(query, HASH, top=1)
        assert match.distance >= 0
        assert "-0.0000" not in as_table([match])


class Extractor:
    """Features by the number in the name of the first frame."""

    checkpoint_hash, feature_dim = HASH, DIM

    def __init__(self, features):
        self.features = features

    def __call__(self, tracklets):
        return torch.stack([self.features[int(Path(t[0]).parent.name)] for t in tracklets])


def test_tracklets_of_the_querys_own_frames_are_left_out(gallery, features):
    extractor = Extractor(torch.from_numpy(features))
    query = SearchQuery("4", ["/frames/4/2.jpg"])
    everywhere = search_for(gallery, extractor, query, 60)
    found, same = search_elsewhere(gallery, extractor, query, 59)
    assert names(same) == ["t4"]
    assert found == everywhere[1:]
    assert search_elsewhere(gallery, extractor, query, 3).matches == everywhere[1:4]
    crops = SearchQuery("crop", [np.zeros((4, 4, 3), np.uint8)])
    extractor = type("Crops", (Extractor,), {"__call__": lambda self, _: self.features[4:5]})
    assert not search_elsewhere(gallery, extractor(torch.from_numpy(features)), crops).same


@pytest.mark.parametrize("search", [search_for, search_elsewhere])
@pytest.mark.parametrize("excluded, camera", [(None, None), (1, 1), ((1,), 1), ((0, 1), None)])
def test_a_judge_is_told_the_camera_that_saw_the_query(gallery, features, search, excluded, camera):
    told = []

    def judge(_, matches, camera):
        told.append(camera)
        return matches

    extractor = Extractor(torch.from_numpy(features))
    search(gallery, extractor, SearchQuery("4", ["/frames/4/2.jpg"]), 3, excluded, judge)
    assert told == [camera]


def test_copies_of_the_querys_frames_are_left_out(gallery, features, tmp_path):
    for folder in ("4", "copy"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"frame")
    gallery.add([GalleryTracklet("copy", (f"{tmp_path}/copy/1.jpg",))], features[4:5], HASH)
    extractor = Extractor(torch.from_numpy(features))
    alone = SearchQuery("4", [f"{tmp_path}/4/1.jpg"])
    assert names(search_elsewhere(gallery, extractor, alone).same) == []
    query = SearchQuery("4", [f"{tmp_path}/4/1.jpg", f"{tmp_path}/4/2.jpg"])
    (tmp_path / "4" / "2.jpg").write_bytes(b"second")
    assert names(search_elsewhere(gallery, extractor, query).same) == ["copy"]
    (tmp_path / "copy" / "1.jpg").write_bytes(b"other")
    assert names(search_elsewhere(gallery, extractor, query).same) == []


def test_several_tracklets_of_a_person_are_averaged_by_their_frames(gallery, features):
    extractor = Extractor(torch.from_numpy(features))
    parts = [["/new/4/1.jpg", "/new/4/2.jpg", "/new/4/3.jpg"], ["/new/9/1.jpg"]]
    query = SearchQuery("person", [frame for part in parts for frame in part], parts)
    expected = gallery.search((3 * features[4] + features[9]) / 4, HASH, 10)
    found = search_for(gallery, extractor, query)
    assert names(found) == names(expected)


def test_tracklets_of_unknown_camera_are_of_no_camera(gallery, features):
    gallery.add([GalleryTracklet("x", ("/x.jpg",))], features[4:5], HASH)
    assert names(gallery.search(features[4], HASH, 1, other_than_camera=1)) == ["x"]


@pytest.mark.parametrize("saved", [False, True])
def test_removed_tracklets_are_not_found_and_ids_not_reused(gallery, features, saved):
    gallery.search(features[0], HASH)
    if saved:
        gallery.save_index()
    gallery.remove([5, 60])
    assert len(gallery) == 58
    for place in (4, 59):
        assert f"t{place}" not in names(gallery.search(features[place], HASH, top=60))
        assert f"t{place}" not in names(Gallery(gallery.folder).search(features[place], HASH, 60))
    assert gallery.add(tracklets(1, start=70), features[4:5], HASH) == [61]
    assert names(gallery.search(features[4], HASH, top=1)) == ["t70"]


def test_an_index_with_many_removed_tracklets_is_rebuilt(gallery, features):
    gallery.save_index()
    gallery.remove(range(1, 13))
    gallery.search(features[0], HASH)
    passed_over = gallery.kind == "hnsw"  # a graph keeps up to a fifth of such
    assert len(gallery._index.refreshed().ids) == (60 if passed_over else 48)
    gallery.remove([13])
    assert names(gallery.search(features[20], HASH, top=1)) == ["t20"]
    assert gallery._index.refreshed().ids.tolist() == list(range(14, 61))


def test_what_came_and_went_between_searches_is_no_reason_to_build_it_anew(gallery, features):
    gallery.search(features[0], HASH)
    held = gallery._index.refreshed()
    gallery.remove(gallery.add(tracklets(20, start=60), features[:20], HASH))
    assert gallery._index.refreshed() is held


def test_adding_again_changes_nothing(gallery, features):
    assert gallery.add(tracklets(60), -features, HASH) == list(range(1, 61))
    assert len(gallery) == 60
    assert gallery.search(features[3], HASH, top=1)[0].distance == pytest.approx(0, abs=1e-6)


def test_a_content_that_several_have_is_named_by_the_first(gallery, features):
    contents = [GalleryTracklet(f"c{n}", (f"/c{n}.jpg",), content="same") for n in range(3)]
    gallery.add(contents, features[:3], HASH)
    found = gallery.by_content(["same", "other"])
    assert {content: number for content, (number, _) in found.items()} == {"same": 61}


def test_names_are_unique(gallery, features):
    other = GalleryTracklet("t5", ("/elsewhere/1.jpg",))
    with pytest.raises(ValueError, match=r"'t5' is already .* with the id 6 and other frames, the"):
        gallery.add([*tracklets(1, start=80), other], features[:2], HASH)
    with pytest.raises(ValueError, match="several tracklets are named 't90'"):
        gallery.add(tracklets(1, start=90) * 2, features[:2], HASH)
    assert len(gallery) == 60  # neither call added anything


def test_an_unknown_id_is_an_error_and_nothing_is_removed(gallery):
    with pytest.raises(KeyError, match=r"ids \[0, 61\]: nothing was removed"):
        gallery.remove([3, 61, 0])
    assert len(gallery) == 60


def test_features_of_another_model_are_refused_with_both_hashes(gallery, features):
    other = "b2" * 32
    both = f"checkpoint {other} with 8 .* checkpoint {HASH} with 8"
    with pytest.raises(ValueError, match=both):
        gallery.add(tracklets(1, start=80), features[:1], other)
    with pytest.raises(ValueError, match=both):
        gallery.search(features[0], other)
    with pytest.raises(ValueError, match=both):
        Gallery.create(gallery.folder, other, DIM)
    with pytest.raises(ValueError, match=f"with 4 .* checkpoint {HASH} with 8"):
        gallery.search(features[0, :4], HASH)
    assert len(gallery) == 60


@pytest.mark.parametrize("rows", [0, slice(0, 2)])
def test_each_tracklet_has_one_feature(gallery, features, rows):
    with pytest.raises(ValueError, match=r"for 1 tracklets, but expected \(1, 8\)"):
        gallery.add(tracklets(1, start=80), features[rows], HASH)
    assert len(gallery) == 60 == len(gallery.search(features[0], HASH, top=61))


def test_features_that_are_not_finite_are_refused(gallery, features):
    features[1, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        gallery.add(tracklets(2, start=80), features[:2], HASH)
    with pytest.raises(ValueError, match="not finite"):
        gallery.search(features[1], HASH)


def test_an_empty_gallery_and_an_invalid_top(gallery, features, tmp_path):
    with pytest.raises(ValueError, match="top 0, but expected to be at least 1"):
        gallery.search(features[0], HASH, top=0)
    empty = Gallery.create(tmp_path / "empty", HASH, DIM, gallery.kind)
    assert empty.search(features[0], HASH) == []
    empty.save_index()
    assert Gallery(empty.folder).search(features[0], HASH) == []


@pytest.mark.parametrize("name", ["zwei Männer\n| am <Tor>", "人 \u202e'\"", "-x", ""])
def test_names_and_paths_are_kept_as_they_are(tmp_path, features, name):
    gallery = Gallery.create(tmp_path / f"g {name}?#%".replace("/", ""), HASH, DIM)
    there = GalleryTracklet(name, (f"/a/{name}/1.jpg", f"/a/../b//{name}/2.jpg"), None, 1.5, 2.25)
    gallery.add([there, GalleryTracklet("one", ("/1.jpg",))], features[:2], HASH)
    gallery.save_index()
    assert Gallery(gallery.folder).search(features[0], HASH, 1)[0].tracklet == there
    assert list(gallery.tracklets()) == [(1, there), (2, GalleryTracklet("one", ("/1.jpg",)))]


def test_a_name_that_is_not_utf8_is_refused(gallery, features):
    with pytest.raises(ValueError, match=r"'caf\\udce9' is not UTF-8 text"):
        gallery.add([GalleryTracklet("caf\udce9", ("/1.jpg",))], features[:1], HASH)
    assert len(gallery) == 60


def test_another_opening_sees_changes_in_both_directions(gallery, features):
    other = Gallery(gallery.folder)
    assert names(other.search(features[7], HASH, top=1)) == ["t7"]
    gallery.remove([8])
    assert names(other.search(features[7], HASH, top=1)) != ["t7"]
    other.add([GalleryTracklet("new", ("/new.jpg",))], features[7:8], HASH)
    assert names(gallery.search(features[7], HASH, top=1)) == ["new"]


def test_the_index_is_read_back_and_completed(gallery, features, monkeypatch):
    gallery.save_index()
    gallery.add(tracklets(1, start=60), features[:1] * [1, -1, 1, 1, 1, 1, 1, 1], HASH)
    asked = []
    entries = type(gallery._store).features_after
    monkeypatch.setattr(
        type(gallery._store), "features_after", lambda s, n: asked.append(n) or entries(s, n)
    )
    opened = Gallery(gallery.folder)
    assert len(opened.search(features[0], HASH, top=100)) == 61
    assert asked == [60]  # the first sixty came from the file


def test_saving_keeps_one_index(gallery, features):
    gallery.save_index()
    (gallery.folder / "index-of-a-killed-process.faiss").write_bytes(b"half")
    (gallery.folder / ".index-x.faiss.y.partial").write_bytes(b"half")
    gallery.add(tracklets(1, start=60), features[:1], HASH)
    gallery.save_index()
    assert len(index_files(gallery)) == 1
    assert len(list(gallery.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "another's", "gone"])
def test_a_damaged_index_is_rebuilt(gallery, features, tmp_path, damage):
    gallery.save_index()
    (file,) = index_files(gallery)
    whole = file.read_bytes()
    other = Gallery.create(tmp_path / "other", HASH, DIM)
    other.save_index()
    bytes_of = {
        "cut": whole[: len(whole) // 2],
        "changed": whole[:300] + b"\0\0\0\0" + whole[304:],
        "another's": index_files(other)[0].read_bytes(),
    }
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(bytes_of[damage])
    opened = Gallery(gallery.folder)
    with pytest.warns(UserWarning, match=f"rebuilt, as .*{re.escape(file.name)}"):
        assert names(opened.search(features[9], HASH, top=1)) == ["t9"]


@pytest.mark.filterwarnings("error")  # the former index is not called damaged
def test_the_kind_can_change(tmp_path, features):
    Gallery.create(tmp_path, HASH, DIM).add(tracklets(60), features, HASH)
    Gallery(tmp_path).save_index()
    opened = Gallery(tmp_path)
    opened.search(features[0], HASH)
    changed = Gallery.create(tmp_path, HASH, DIM, "hnsw")
    assert opened.kind == "hnsw" and Gallery.create(tmp_path, HASH, DIM).kind == "hnsw"
    for one in (opened, changed):
        assert names(one.search(features[9], HASH, top=1)) == ["t9"]
        assert one._index.refreshed().kind == "hnsw"
    with pytest.raises(ValueError, match='kind "ivf", but expected to be one of'):
        Gallery.create(tmp_path, HASH, DIM, "ivf")


def test_a_missing_gallery_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no gallery in .*torchreid-occ search index"):
        Gallery(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_gallery_is_an_error(gallery):
    file = gallery.folder / FILE
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"something else altogether" * 99, b""):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"gallery.sqlite is (damaged or )?no gallery"):
            len(Gallery(gallery.folder))


def test_an_interrupted_creation_is_completed(tmp_path, features):
    (tmp_path / FILE).touch()
    with pytest.raises(ValueError, match="interrupted, index again"):
        Gallery(tmp_path)
    assert len(Gallery.create(tmp_path, HASH, DIM).add(tracklets(1), features[:1], HASH)) == 1


def test_a_read_only_gallery_is_searched_but_not_changed(features):
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is for its owner alone
        gallery = Gallery.create(folder, HASH, DIM)
        gallery.add(tracklets(60), features, HASH)
        gallery.save_index()
        gallery.add(tracklets(1, start=60), features[:1], HASH)
        for path in (*Path(folder).iterdir(), Path(folder)):
            path.chmod(0o555)
        former = os.geteuid()
        if former == 0:  # root ignores permissions
            os.seteuid(65534)
        try:
            opened = Gallery(folder)
            assert len(opened.search(features[0], HASH, top=100)) == 61
            with pytest.raises(OSError, match=r"gallery.sqlite cannot be used: .*readonly"):
                opened.remove([1])
        finally:
            os.seteuid(former)
            Path(folder).chmod(0o755)
