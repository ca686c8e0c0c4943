"""People across cameras against the truth: plain clustering, ours, and ours with corrections.

    python tools/benchmarks/identities.py calibration.npz test.npz --corrections 20

Each file holds features as `tools/benchmarks/calibration.py` takes them; query and gallery are the
tracklets to group, and `<part>_len` (N,) their numbers of frames. `--identities FROM TO` takes a
range of a random order of the people of either file. Thresholds are chosen on the first file. A
simulated user looks through the page's decisions in its order and corrects those that are wrong.
"""

import argparse
import tempfile

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist

from torchreid_occ.calibration import LabelledFeatures, fit_calibration
from torchreid_occ.identities import Corrections, find_identities
from torchreid_occ.identities.page import DECISIONS
from torchreid_occ.search import Gallery, GalleryTracklet


def read(path, share):
    """Returns query, gallery, all tracklets and their lengths, and the cohort."""
    with np.load(path) as stored:
        parts = {
            part: LabelledFeatures(stored[part], stored[f"{part}_pid"], stored[f"{part}_cam"])
            for part in ("query", "gallery", "train")
        }
        lengths = {part: stored[f"{part}_len"] for part in ("query", "gallery")}
    people = np.random.default_rng(0).permutation(np.unique(parts["query"].pids))
    first, last = (round(end * len(people)) for end in share)
    chosen = people[first:last]
    query, gallery = (parts[part].of(chosen) for part in ("query", "gallery"))
    held = [np.isin(parts[part].pids, chosen) for part in ("query", "gallery")]
    own = [lengths[part][mask] for part, mask in zip(("query", "gallery"), held, strict=True)]
    new = np.array([not (np.abs(gallery.features - f).max(1) < 1e-3).any() for f in query.features])
    everyone = LabelledFeatures(
        *(np.concatenate([one, other[new]]) for one, other in zip(gallery, query, strict=True))
    )
    return query, gallery, everyone, np.concatenate([own[1], own[0][new]]), parts["train"]


def scores(labels, truth, lengths):
    """Returns IDF1 over frames and the F1 of pairs of tracklets of different cameras."""
    _, found = np.unique(labels, return_inverse=True)
    _, true = np.unique(truth.pids, return_inverse=True)
    shared = np.zeros((found.max() + 1, true.max() + 1))
    np.add.at(shared, (found, true), lengths)
    matched = shared[linear_sum_assignment(-shared)].sum()
    across = np.triu(truth.camids[:, None] != truth.camids, 1)
    same, one = ((x[:, None] == x) & across for x in (found, true))
    return matched / lengths.sum(), 2 * (same & one).sum() / max(1, same.sum() + one.sum())


def plain(fitted, tested, lengths, own_lengths):
    """Average linkage of cosine distances, cut where IDF1 is best on the calibration's people."""
    trees = [linkage(pdist(part.features, "cosine"), "average") for part in (fitted, tested)]
    best = max(
        np.arange(0.01, 1, 0.01),
        key=lambda cut: scores(fcluster(trees[0], cut, "distance"), fitted, own_lengths)[0],
    )
    return scores(fcluster(trees[1], best, "distance"), tested, lengths)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("calibration")
    parser.add_argument("tested")
    parser.add_argument("--fit", type=float, nargs=2, default=(0, 1), metavar=("FROM", "TO"))
    parser.add_argument("--identities", type=float, nargs=2, default=(0, 1), metavar=("FROM", "TO"))
    parser.add_argument("--corrections", type=int, default=20, help="for each 100 people")
    arguments = parser.parse_args()
    query, gallery, fitted, own_lengths, cohort = read(arguments.calibration, arguments.fit)
    *_, tested, lengths, _ = read(arguments.tested, arguments.identities)
    calibration = fit_calibration(query, gallery, cohort, "", {})
    number = len(np.unique(tested.pids))
    print(f"{number} people, {len(lengths)} tracklets: IDF1, pairwise F1 across cameras")

    def show(name, found):
        print(f"{name:28} {100 * found[0]:5.1f} {100 * found[1]:5.1f}", flush=True)

    show("plain agglomerative", plain(fitted, tested, lengths, own_lengths))
    with tempfile.TemporaryDirectory() as folder:
        made = Gallery.create(folder, "", tested.features.shape[1])
        made.add(
            [GalleryTracklet(f"t{i}", (), int(c)) for i, c in enumerate(tested.camids)],
            tested.features,
            "",
        )
        corrections, left = Corrections(), round(arguments.corrections * number / 100)
        while True:
            found = find_identities(made, calibration, corrections)
            person = found.person_of()
            result = scores(np.array([person[n] for n in sorted(person)]), tested, lengths)
            done = len(corrections.merged) + len(corrections.split)
            show(f"identities, {done} corrections", result)
            wrong = [
                one
                for one in found.decisions[:DECISIONS]
                if (tested.pids[one.one - 1] == tested.pids[one.other - 1])
                != (person[one.one] == person[one.other])
            ][: max(0, min(10, left))]
            if not wrong:
                break
            left -= len(wrong)
            for one in wrong:
                pair = f"t{one.one - 1}", f"t{one.other - 1}"
                same = tested.pids[one.one - 1] == tested.pids[one.other - 1]
                corrections = corrections.with_([pair] if same else [], [] if same else [pair])


if __name__ == "__main__":
    main()
