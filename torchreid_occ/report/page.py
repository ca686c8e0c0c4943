"""Gathers what a run's page shows, and writes it."""

import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from torchreid_occ.config import load_config
from torchreid_occ.report.pictures import completions, draw_model, region_scores
from torchreid_occ.report.plots import cmc_plot, curve_plot, label_plot
from torchreid_occ.report.queries import (
    compare_with_clean,
    hardest,
    precision_by_label,
    show_query,
)
from torchreid_occ.report.retrieval import search_again
from torchreid_occ.runs.folder import outcome, read_curves, read_runs
from torchreid_occ.utils.environment import versions
from torchreid_occ.utils.files import write_text

NAME = "report.html"
_TEMPLATES = PackageLoader("torchreid_occ.report")


def write_report(folder, root=None, queries=8, path=None):
    """Writes the page of a run: one HTML file that needs no other and no network.

    Of a run in phases, the last training is searched again and shown in full; name a phase's own
    folder to have that one shown.

    Args:
        folder: ``data.save_dir`` of a finished run, or of a phase of one.
        root: Folder of the datasets, if it is not the run's any more.
        queries: How many of the hardest queries of each target are shown.
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
        "lead": _lead(runs, load_config(Path(folder) / "config.yaml")),
        "runs": runs,
        "outcomes": {run.name: outcome(run) for run in runs if not run.is_training},
        "trainings": trainings,
        "headline": trainings[-1] if trainings else None,
        "targets": [],
        "model_pictures": [],
        "scores": [region_scores(run) for run in runs if run.config.task == "score"],
        "completions": {
            run.name: completions(run, root)
            for run in runs
            if run.config.task == "copy" and run.config.completion.checkpoint
        },
        "curves": {run.name: _curves(run) for run in runs},
        "configuration": (Path(folder) / "config.yaml").read_text(encoding="utf-8"),
        "written": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "written_by": versions(),
    }
    if trainings:
        content |= _searched(trainings[-1], root, queries)
    path = Path(path) if path else Path(folder) / NAME
    write_text(path, render(content))
    return path


def render(content):
    """The page's HTML.

    Args:
        content: What the template ``report.html`` reads.
    """
    environment = Environment(
        loader=_TEMPLATES, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}"
    environment.filters["duration"] = lambda s: str(datetime.timedelta(seconds=round(s)))
    environment.globals["style"] = Markup(_TEMPLATES.get_source(environment, "report.css")[0])
    return environment.get_template("report.html").render(content)


def _title(runs):
    last = next((run for run in reversed(runs) if run.is_training), None)
    if last is None:
        return f"{runs[-1].name}: task {runs[-1].config.task}"
    return f"{last.config.model.name} on {next(iter(last.results['targets']))}"


def _lead(runs, config):
    """One line on what ran: where, how long, on what."""
    seconds = sum(run.results["seconds"] for run in runs)
    hardware = runs[-1].results["hardware"]
    parts = [f"Run {config.data.save_dir}"]
    if config.phases:
        parts.append(f"{len(runs)} of {len(config.phases)} phases finished")
    parts.append(f"{datetime.timedelta(seconds=round(seconds))} h on {_machine(hardware)}")
    parts.append(f"seed {runs[-1].results['seed']}")
    return " · ".join(parts)


def _machine(hardware):
    return ", ".join(hardware["gpus"]) or f"{hardware['cores']} cores of {hardware['cpu']}"


def _searched(run, root, count):
    """What the page says about a run's targets, and the model's pictures of the hardest query."""
    model, config, found = search_again(run, root)
    first = found[0]
    number = next(iter(hardest(first.results, 1)), 0)
    return {
        "targets": [_target(retrieval, count) for retrieval in found],
        "pictured": {"target": first.target, "number": number},
        "model_pictures": draw_model(model, config, first.query[number][0]),
    }


def _target(retrieval, count):
    """What the page says about one target."""
    target = {
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
        labels, rows, counts = precision_by_label(retrieval)
        plot = label_plot(labels, rows, counts)
        target["labels"] = {"labels": labels, "rows": rows, "counts": counts, "plot": plot}
    return target


def _curves(run):
    return {
        name: curve_plot(name, steps, values)
        for name, (steps, values) in read_curves(run.folder).items()
    }
