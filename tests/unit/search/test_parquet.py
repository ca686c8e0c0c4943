import json

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet, parquet
from torchreid_occ.search.parquet import write_answer_table, write_gallery_table

HASH, DIM = "a1" * 32, 8


@pytest.fixture
def gallery(tmp_path):
    gallery = Gallery.create(tmp_path / "g", HASH, DIM)
    features = np.random.default_rng(0).standard_normal((7, DIM)).astype("f4")
    tracklets = [
        GalleryTracklet("a/ü 'x'\n", ("/a/1.jpg", "/a/\udcff.jpg"), 3, 0.5, 2.0),
        *(GalleryTracklet(f"b/{n}", (f"/b/{n}.jpg",)) for n in range(6)),
    ]
    gallery.add(tracklets, features, HASH)
    gallery.remove([3])
    return gallery


def test_a_gallery_is_read_back(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BLOCK", 4)  # more than one row group
    assert write_gallery_table(tmp_path / "g.parquet", gallery) == 6
    file = pq.ParquetFile(tmp_path / "g.parquet")
    assert file.num_row_groups == 2
    about = json.loads(file.schema_arrow.metadata[b"torchreid_occ"])
    assert about == {"checkpoint_hash": HASH, "gallery": gallery.uuid, "precisions": []}
    table = file.read()
    assert table.schema.field("feature").type == pyarrow.list_(pyarrow.float32(), DIM)
    rows = table.to_pylist()
    for row, (number, tracklet, feature) in zip(rows, gallery.entries(), strict=True):
        assert (row["id"], row["name"], row["camera"]) == (number, tracklet.name, tracklet.camera)
        assert (row["start"], row["end"]) == (tracklet.start, tracklet.end)
        assert np.array_equal(np.float32(row["feature"]), feature)
    assert rows[0]["frames"] == ["/a/1.jpg", "/a/\\udcff.jpg"]
    assert [row["id"] for row in rows] == [1, 2, 4, 5, 6, 7]


def test_an_empty_gallery_has_the_columns(tmp_path):
    gallery = Gallery.create(tmp_path / "g", HASH, DIM)
    assert write_gallery_table(tmp_path / "g.parquet", gallery) == 0
    names = pq.read_schema(tmp_path / "g.parquet").names
    assert names == ["id", "name", "camera", "start", "end", "frames", "content", "feature"]


def test_an_answer_is_read_back(gallery, tmp_path):
    matches = gallery.search(np.ones(DIM), HASH, 4)
    write_answer_table(tmp_path / "a.parquet", matches, HASH)
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert [(row["id"], row["distance"]) for row in rows] == [(m.id, m.distance) for m in matches]
    assert {row["state"] for row in rows} == {"unknown"}
    assert {row["video"] for row in rows} == {row["boxes"] for row in rows} == {None}
    assert {row["verdict"] for row in rows} == {row["probability"] for row in rows} == {None}
    write_answer_table(tmp_path / "empty.parquet", [], HASH)
    assert pq.read_table(tmp_path / "empty.parquet").num_rows == 0
