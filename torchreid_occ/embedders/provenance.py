"""What an embedder was trained on and how well it did, to be shown with every answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torchreid_occ._types import StrPath
from torchreid_occ.data.copies import MANIFEST
from torchreid_occ.runs.folder import RESULTS, chosen_checkpoint, read_results
from torchreid_occ.utils.documents import read_json

RENDERED = "occwalk"  # beginning of the names of rendered datasets
HANDFUL = 100  # identities below which a network has hardly learned to tell people apart


class Provenance(NamedTuple):
    """Where an embedder comes from.

    Attributes:
        name: Name of the weights, or of their file.
        trained_on: The data, with its number of people.
        results: How well it did, and on which data.
        warning: Why its answers are weak; empty if nothing is known against it.
    """

    name: str
    trained_on: str
    results: str
    warning: str = ""

    def __str__(self) -> str:
        line = f"{self.name} was trained on {self.trained_on}; {self.results}."
        return f"{line}\nWarning: {self.warning}" if self.warning else line


def describe_run(path: StrPath, config: Any, num_people: int | None) -> Provenance:
    """Describes the checkpoint of a run, with the results in the run's folder, if it is there.

    Args:
        path: The checkpoint.
        config: Its configuration.
        num_people: Number of training identities, if it is known.
    """
    options = config.data.options
    sources = [_source(name, options.get(name, {})) for name in config.data.sources]
    rendered = all(name.startswith(RENDERED) for name in sources)
    number = "" if num_people is None else f"{num_people:,} "
    kind = "rendered people" if rendered else "people"
    trained_on = f"{number}{kind} of {', '.join(config.data.sources)}"
    warning = weakness(num_people, rendered)
    return Provenance(Path(path).name, trained_on, _results(Path(path), config), warning)


def weakness(num_people: int | None, rendered: bool = False) -> str:
    """Says why an embedder is weak with real people; empty if nothing is known against it.

    Args:
        num_people: Number of training identities, if it is known.
        rendered: Whether these were rendered.
    """
    if rendered:
        return (
            "it has seen rendered people only, and tells real ones apart badly: small distances do "
            "not mean the same person."
        )
    if num_people is not None and num_people < HANDFUL:
        return (
            f"it has seen {num_people} people only, too few to tell others apart: small distances "
            "do not mean the same person."
        )
    return ""


def as_scores(results: Mapping[str, Any]) -> str:
    """Formats mAP and rank-1 of a test in percent.

    Args:
        results: `mAP` and `cmc`, shares.
    """
    return f"{100 * results['mAP']:.1f} mAP, {100 * results['cmc'][1]:.1f} rank-1"


def _source(name: str, options: Mapping[str, Any]) -> str:
    """Returns the dataset that a copy was made of, or the dataset itself."""
    manifest = Path(options.get("path", ""), MANIFEST)
    if not options.get("path") or not manifest.is_file():
        return name
    source = read_json(manifest).get("source", {})
    return _source(source.get("name", name), source.get("options", {}))


def _results(path: Path, config: Any) -> str:
    """Describes the results of the very checkpoint, or says that there are none."""
    folder = path.parent.parent
    if not (folder / RESULTS).is_file():
        return "how well it did is not known, as its run's results.json is not beside it"
    results = read_results(folder)
    if chosen_checkpoint(config, folder, results).name != path.name:
        return "how well it did was not measured, as its run chose another checkpoint"
    tested = [
        f"{as_scores(checkpoints.get('selected') or checkpoints['last'])} on {target}"
        for target, checkpoints in results.get("targets", {}).items()
        if checkpoints
    ]
    return f"it had {'; '.join(tested)}" if tested else "it was not tested"
