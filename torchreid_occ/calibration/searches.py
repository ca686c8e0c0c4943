"""How probably the best tracklet of a search is the person searched for.

It is chosen because its score is the highest of many, and the highest of more strangers is higher.
Searches are simulated in random parts of the calibration's gallery, with and without the person.
"""

import numpy as np
import numpy.typing as npt

from torchreid_occ.calibration.space import Floats
from torchreid_occ.utils.dependencies import import_optional

_PARTS = (1.0, 0.7, 0.5, 0.35, 0.25)  # shares of the people that are in the gallery
_DRAWS = 4  # galleries of each share


def fit_first(
    scores: Floats,
    same: npt.NDArray[np.bool_],
    compared: npt.NDArray[np.bool_],
    pids: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Fits the log odds of the best tracklet of a search to its score and the gallery's size.

    As many searches are for people who are in the gallery as for people who are not.

    Args:
        scores: Scores of queries and gallery items.
        same: Whether both are one person.
        compared: Whether an item is searched by a query.
        pids: Identities of the gallery's items.

    Shape:
        scores, same, compared: ``(Q, G)``; pids: ``(G,)``; result: ``(3,)``: weights of the score
        and of the logarithm of the gallery's size, and the intercept.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    (linear,) = import_optional("sklearn.linear_model", extra="calibration")
    rng = np.random.default_rng(0)
    people = np.unique(pids)
    mates = np.where(same & compared, scores, -np.inf).max(axis=1)
    has_mates = np.isfinite(mates)
    known, right = [], []
    for share in np.repeat(_PARTS, _DRAWS):
        chosen = rng.permutation(people)[: max(2, round(share * len(people)))]
        part = np.isin(pids, chosen)
        others = np.where(~same & compared & part, scores, -np.inf).max(axis=1)
        found = np.concatenate([np.maximum(others, mates)[has_mates], others[has_mates]])
        size = np.full(len(found), np.log(part.sum()))
        known.append(np.stack([found, size], axis=1))
        right.append(np.concatenate([(mates > others)[has_mates], np.zeros(has_mates.sum(), bool)]))
    there = np.isfinite(stacked := np.concatenate(known)).all(axis=1)
    model = linear.LogisticRegression(C=1e6, max_iter=1000)
    model.fit(stacked[there], np.concatenate(right)[there])
    return np.append(model.coef_[0], model.intercept_[0])
