"""Galleries in Qdrant: many tracklets, and processes killed while they write and read."""

import multiprocessing
import os
import random
import signal
import time
from itertools import product

import numpy as np
import pytest
from qdrant_server import running_qdrant

from torchreid_occ.search import Gallery, GalleryTracklet, qdrant_connection, qdrant_lock

pytestmark = pytest.mark.nightly
HASH, DIM, KILLS, WRITERS, BATCHES, BATCH = "a1" * 32, 32, 20, 3, 20, 25
fork = multiprocessing.get_context("fork")


def test_answers_are_those_of_the_exact_search(tmp_path, qdrant_url):
    rng = np.random.default_rng(0)
    people = np.repeat(rng.standard_normal((10_000, 32)), 10, axis=0)
    turned = rng.standard_normal((32, 256))
    features = ((people + 0.5 * rng.standard_normal(people.shape)) @ turned).astype("f4")
    features[500:600] = features[500]  # equally near
    tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",), n % 10) for n in range(len(features))]
    galleries = [Gallery.create(place, HASH, 256) for place in (tmp_path, qdrant_url)]
    for gallery in galleries:
        assert gallery.add(tracklets, features, HASH) == [*range(1, 100_001)]
    qdrant_connection.connect(None).build_graph("people")
    others = rng.standard_normal((5, 32)) @ turned
    queries = [features[510], *features[:5] + 0.3, *others.astype("f4")]
    exact = [answers(galleries[0], queries), answers(galleries[1], queries)]
    assert exact[0] == exact[1] and {len(one) for one in exact[0]} == {50}
    found = answers(Gallery.create(qdrant_url, HASH, 256, "hnsw"), queries)
    assert {len(one) for one in found} == {50}  # never fewer
    shares = [len({*one} & {*two}) / 50 for one, two in zip(found, exact[0], strict=True)]
    assert np.mean(shares) > 0.95


def answers(gallery, queries):
    return [
        [match.id for match in gallery.search(query, HASH, 50, cameras)]
        for query in queries
        for cameras in ([], [3], [*range(9)])
    ]


def write(place, writer):
    """Adds what is missing of a writer's tracklets and removes every fifth batch."""
    qdrant_lock.LEASE = 2
    gallery = Gallery(place)
    for batch in range(BATCHES):
        rng = np.random.default_rng([writer, batch])
        tracklets = [GalleryTracklet(f"{writer}/{batch}/{n}", ("/1.jpg",)) for n in range(BATCH)]
        # A batch that was removed comes again under new ids; the last state is the same.
        ids = gallery.add(tracklets, rng.standard_normal((BATCH, DIM)), HASH)
        if batch % 5 == 4:
            gallery.remove(ids)


def read(place):
    gallery = Gallery(place)
    while True:
        found = gallery.search(np.ones(DIM), HASH, 100_000)
        assert len({match.tracklet.name for match in found}) == len(found)


def test_nothing_is_lost_and_nothing_is_there_twice(monkeypatch):
    monkeypatch.setattr(qdrant_lock, "LEASE", 2)
    with running_qdrant() as server:
        place = f"qdrant://127.0.0.1:{server.server_port}/people"
        Gallery.create(place, HASH, DIM)
        kill_at_work([(write, (place, writer)) for writer in range(WRITERS)] + [(read, (place,))])
        gallery = Gallery(place)
        batches = product(range(WRITERS), [n for n in range(BATCHES) if n % 5 != 4])
        kept = [f"{writer}/{batch}/{n}" for writer, batch in batches for n in range(BATCH)]
        assert sorted(one.name for _, one in gallery.tracklets()) == sorted(kept)
        for _, tracklet, feature in gallery.entries():
            writer, batch, number = map(int, tracklet.name.split("/"))
            own = np.random.default_rng([writer, batch]).standard_normal((BATCH, DIM))[number]
            np.testing.assert_allclose(feature, own / np.linalg.norm(own), atol=1e-6)
        assert len(gallery.search(np.ones(DIM), HASH, 100_000)) == len(kept)


def kill_at_work(jobs):
    """Runs writers and, last, a reader, and kills and starts them again and again."""
    chosen = random.Random(0)
    processes = [fork.Process(target=job, args=words) for job, words in jobs]
    for process in processes:
        process.start()
    kills = 0
    while kills < KILLS:
        time.sleep(chosen.uniform(0.05, 0.8))
        place = chosen.randrange(len(jobs))
        if processes[place].is_alive():
            os.kill(processes[place].pid, signal.SIGKILL)
            processes[place].join()
            kills += 1
        else:
            assert processes[place].exitcode == 0
        job, words = jobs[place]
        processes[place] = fork.Process(target=job, args=words)
        processes[place].start()
    *writers, reader = processes
    for process in writers:
        process.join(300)
        assert process.exitcode == 0
    assert reader.is_alive()  # no assertion of it has failed
    reader.kill()
    reader.join()
