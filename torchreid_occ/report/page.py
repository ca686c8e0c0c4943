"""Collects the content of a run's page and writes it."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from yacs.config import CfgNode

from torchreid_occ._types import StrPath
from torchreid_occ.config import load_config
from torchreid_occ.embedders.provenance import Provenance, describe_run
from torchreid_occ.report.calibrated import calibration_of
from torchreid_occ.report.pictures import completions, draw_model, third_scores
from torchreid_occ.report.plots import cmc_plot, curve_plot, label_plot
from torchreid_occ.report.queries import (
    compare_with_clean,
    hardest,
    precision_by_label,
    show_query,
)
from torchreid_occ.report.retrieval import Retrieval, search_again
from torchreid_occ.runs.folder import CONFIG, Run, outcome, read_curves, read_runs
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.environment import versions
from torchreid_occ.utils.files import write_text
from torchreid_occ.utils.templates import templates_in

NAME = "report.html"


def write_report(
    folder: StrPath,
    root: StrPath | None = None,
    queries: int = 8,
    path: StrPath | None = None,
) -> Path:
    """Writes the page of a run: one HTML file that needs no other file and no network.

    Of a run in phases, the last training is tested again and shown in full. The folder of another
    phase shows that one.

    Args:
        folder: ``data.save_dir`` of a finished run, or of a phase of one.
        root: Folder of the datasets; the run's if None.
        queries: Number of the hardest queries of each target to show.
        path: The file; ``report.html`` in the run's folder if None.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: If there is no finished run, or its checkpoint or data are gone.
        ValueError: If the folder holds a run over splits, or ``queries`` is negative.
    """
    if queries < 0:
        raise ValueError(f"Received {queries} queries to show, but expected 0 or more.")
    runs = read_runs(folder)
    trainings = [run for run in runs if run.is_training]
    content = {
        "title": _title(runs),
        "lead": _lead(runs, load_config(Path(folder) / CONFIG)),
        "runs": runs,
        "outcomes": {run.name: outcome(run) for run in runs if not run.is_training},
        "trainings": trainings,
        "headline": trainings[-1] if trainings else None,
        "provenance": _provenance(trainings[-1]) if trainings else None,
        "targets": [],
        "model_pictures": [],
        "calibration": calibration_of(trainings[-1].checkpoint) if trainings else None,
        "scores": [third_scores(run) for run in runs if run.config.task == "score"],
        "completions": {
            run.name: completions(run, root)
            for run in runs
            if run.config.task == "copy" and run.config.completion.checkpoint
        },
        "curves": {run.name: _curves(run) for run in runs},
        "configuration": (Path(folder) / CONFIG).read_text(encoding="utf-8"),
        "written": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "written_by": versions(),
    }
    if trainings:
        content |= _tested_again(trainings[-1], root, queries)
    page = Path(path) if path else Path(folder) / NAME
    write_text(page, render(content))
    return page


def render(content: Mapping[str, Any]) -> str:
    """Fills the template of the page.

    Args:
        content: The variables of the template ``report.html``.
    """
    environment = templates_in("torchreid_occ.report", "templates")
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    environment.filters["duration"] = lambda s: str(datetime.timedelta(seconds=round(s)))
    assert environment.loader is not None
    style, *_ = environment.loader.get_source(environment, "report.css")
    environment.globals["style"] = Markup(style)
    return environment.get_template("report.html").render(content)


def _title(runs: Sequence[Run]) -> str:
    last = next((run for run in reversed(runs) if run.is_training), None)
    if last is None:
        return f"{runs[-1].name}: task {runs[-1].config.task}"
    return f"{last.config.model.name} on {next(iter(last.results['targets']))}"


def _lead(runs: Sequence[Run], config: CfgNode) -> str:
    """Summarises the run in one line: folder, duration, machine, seed."""
    seconds = sum(run.results["seconds"] for run in runs)
    hardware = runs[-1].results["hardware"]
    parts = [f"Run {config.data.save_dir}"]
    if config.phases:
        parts.append(f"{len(runs)} of {len(config.phases)} phases finished")
    parts.append(f"{datetime.timedelta(seconds=round(seconds))} h on {_machine(hardware)}")
    parts.append(f"seed {runs[-1].results['seed']}")
    return " · ".join(parts)


def _provenance(run: Run) -> Provenance:
    """Describes a run's checkpoint; those of torchreid's engine hold no number of people."""
    num_people = load_checkpoint(run.checkpoint).get("num_classes")
    return describe_run(run.checkpoint, run.config, num_people)


def _machine(hardware: Mapping[str, Any]) -> str:
    return ", ".join(hardware["gpus"]) or f"{hardware['cores']} cores of {hardware['cpu']}"


def _tested_again(run: Run, root: StrPath | None, count: int) -> dict[str, Any]:
    """Collects the targets of a run, and the model's pictures of the hardest query."""
    model, config, retrievals = search_again(run, root)
    first = retrievals[0]
    number = next(iter(hardest(first.results, 1)), 0)
    return {
        "targets": [_target(retrieval, count) for retrieval in retrievals],
        "pictured": {"target": first.target, "number": number},
        "model_pictures": draw_model(model, config, first.query[number][0]),
    }


def _target(retrieval: Retrieval, count: int) -> dict[str, Any]:
    """Collects the results and the hardest queries of a target."""
    target: dict[str, Any] = {
        "name": retrieval.target,
        "results": retrieval.results,
        "num_queries": len(retrieval.query),
        "num_gallery": len(retrieval.gallery),
        "cmc": cmc_plot(
            {
                part.target: part.results["cmc"]
                for part in (retrieval, retrieval.clean)
                if part is not None
            }
        ),
        "queries": [show_query(retrieval, number) for number in hardest(retrieval.results, count)],
        "clean": None,
        "labels": None,
    }
    if retrieval.clean is not None:
        clean = {"name": retrieval.clean.target, "results": retrieval.clean.results}
        target["clean"] = {**clean, "found": compare_with_clean(retrieval)}
    if retrieval.labels is not None:
        found = precision_by_label(retrieval)
        target["labels"] = {**found._asdict(), "plot": label_plot(*found)}
    return target


def _curves(run: Run) -> dict[str, Markup]:
    return {name: curve_plot(name, *curve) for name, curve in read_curves(run.folder).items()}
