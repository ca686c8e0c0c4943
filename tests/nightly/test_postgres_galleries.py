"""Galleries in PostgreSQL: many tracklets, and processes killed while they write and read."""

import multiprocessing
import os
import random
import signal
import time
from itertools import product

import numpy as np
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet

pytestmark = pytest.mark.nightly
HASH, DIM, KILLS, WRITERS, BATCHES, BATCH = "a1" * 32, 32, 20, 3, 40, 25
fork = multiprocessing.get_context("fork")


def test_answers_are_those_of_the_exact_search(tmp_path, postgres_url):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100_000, 256), np.float32)
    features[500:600] = features[500]  # equally near
    tracklets = [GalleryTracklet(f"t{n}", (f"/{n}.jpg",), n % 10) for n in range(len(features))]
    places = tmp_path, f"{postgres_url}"
    on_disk, in_database = (Gallery.create(place, HASH, 256) for place in places)
    for gallery in (on_disk, in_database):
        assert gallery.add(tracklets, features, HASH) == [*range(1, 100_001)]
    queries = [features[510], *features[:5] + 0.3, *rng.standard_normal((5, 256), np.float32)]
    for query in queries:
        for cameras in ([], [3], [*range(9)]):
            answers = [
                [match.id for match in gallery.search(query, HASH, 50, cameras)]
                for gallery in (on_disk, in_database)
            ]
            assert answers[0] == answers[1] and len(answers[0]) == 50


def write(place, writer):
    """Adds what is missing of a writer's tracklets and removes every fifth batch."""
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
        counts = np.unique(
            [match.tracklet.name.rpartition("/")[0] for match in found], return_counts=True
        )[1]
        assert (counts == BATCH).all()  # batches are there whole


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_nothing_is_lost_and_nothing_is_there_twice(postgres_url, kind):
    Gallery.create(postgres_url, HASH, DIM, kind).save_index()
    chosen = random.Random(0)
    jobs = [(write, (postgres_url, writer)) for writer in range(WRITERS)] + [
        (read, (postgres_url,))
    ]
    processes = [fork.Process(target=job, args=words) for job, words in jobs]
    for process in processes:
        process.start()
    kills = 0
    while kills < KILLS:
        time.sleep(chosen.uniform(0.05, 0.4))
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
    for process in processes[:WRITERS]:
        process.join(120)
        assert process.exitcode == 0
    assert processes[WRITERS].is_alive()  # no assertion of the reader has failed
    processes[WRITERS].kill()
    processes[WRITERS].join()
    gallery = Gallery(postgres_url)
    batches = product(range(WRITERS), [n for n in range(BATCHES) if n % 5 != 4])
    kept = [f"{writer}/{batch}/{n}" for writer, batch in batches for n in range(BATCH)]
    assert sorted(one.name for _, one in gallery.tracklets()) == sorted(kept)
    for _, tracklet, feature in gallery.entries():
        writer, batch, place = map(int, tracklet.name.split("/"))
        own = np.random.default_rng([writer, batch]).standard_normal((BATCH, DIM))[place]
        np.testing.assert_allclose(feature, own / np.linalg.norm(own), atol=1e-6)
    assert len(gallery.search(np.ones(DIM), HASH, 100_000)) == len(kept)
