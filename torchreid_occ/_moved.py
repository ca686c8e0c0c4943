"""Import paths of 0.1.0 that have moved: importing one warns and gives the module of the new name.

To be removed in 0.3.0.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Modules come before the packages that held them.
MOVED = {
    "torchreid_occ.data.completion": "torchreid_occ.completion.data",
    "torchreid_occ.data.datamanager": "torchreid_occ.data.manager",
    "torchreid_occ.data.datasets.video.completed": "torchreid_occ.completion.dataset",
    "torchreid_occ.data.occwalk.stage": "torchreid_occ.occwalk.crop",
    "torchreid_occ.data.occwalk": "torchreid_occ.occwalk",
    "torchreid_occ.data.regions": "torchreid_occ.completion.thirds",
    "torchreid_occ.defaults": "torchreid_occ.config.schema",
    "torchreid_occ.engine.checkpointed": "torchreid_occ.engine.base",
    "torchreid_occ.engine.video.clip": "torchreid_occ.engine.clip",
    "torchreid_occ.engine.video.completion": "torchreid_occ.completion.engine",
    "torchreid_occ.engine.video.torchreid_baselines": "torchreid_occ.engine.torchreid_backend",
    "torchreid_occ.engine.video": "torchreid_occ.engine",
    "torchreid_occ.losses.completion": "torchreid_occ.completion.loss",
    "torchreid_occ.metrics.region_similarity": "torchreid_occ.completion.similarity",
    "torchreid_occ.models.discriminator": "torchreid_occ.completion.discriminator",
    "torchreid_occ.models.id_guider": "torchreid_occ.completion.guider",
    "torchreid_occ.models.stcnet": "torchreid_occ.completion.network",
    "torchreid_occ.pipelines.build": "torchreid_occ.runs.builders",
    "torchreid_occ.pipelines.comparison": "torchreid_occ.studies.comparison_runs",
    "torchreid_occ.pipelines.comparison_speed": "torchreid_occ.studies.comparison_speed",
    "torchreid_occ.pipelines.comparison_tables": "torchreid_occ.studies.comparison_tables",
    "torchreid_occ.pipelines.completed_copy": "torchreid_occ.completion.copy",
    "torchreid_occ.pipelines.completion": "torchreid_occ.completion.tasks",
    "torchreid_occ.pipelines.completion_quality": "torchreid_occ.studies.completion_quality",
    "torchreid_occ.pipelines.diagnosis": "torchreid_occ.studies.diagnosis",
    "torchreid_occ.pipelines.experiment": "torchreid_occ.runs.run",
    "torchreid_occ.pipelines.localisation": "torchreid_occ.completion.scores",
    "torchreid_occ.pipelines.oracles": "torchreid_occ.studies.oracles",
    "torchreid_occ.pipelines.phases": "torchreid_occ.runs.phases",
    "torchreid_occ.pipelines.pictures": "torchreid_occ.visualization.pictures",
    "torchreid_occ.pipelines.splits": "torchreid_occ.runs.splits",
    "torchreid_occ.pipelines.true_regions": "torchreid_occ.completion.truth",
    "torchreid_occ.pipelines": "torchreid_occ.runs",
    "torchreid_occ.report.run_folder": "torchreid_occ.runs.folder",
    "torchreid_occ.targets": "torchreid_occ.annotate",
    "torchreid_occ.visualization.comparison": "torchreid_occ.studies.comparison_plots",
    "torchreid_occ.visualization.frame_strip": "torchreid_occ.data.frame_strip",
    "torchreid_occ.visualization.supervision": "torchreid_occ.data.overlay",
    "torchreid_occ.visualization.vrstc": "torchreid_occ.completion.figures",
}


class MovedModules(MetaPathFinder, Loader):
    """Finds modules by the names they had in 0.1.0."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a module that has moved.

        Args:
            fullname: Its old name.
            path: As in `MetaPathFinder.find_spec`; not used.
            target: As in `MetaPathFinder.find_spec`; not used.
        """
        return ModuleSpec(fullname, self, is_package=True) if _new_name(fullname) else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Returns None, so that Python creates the module that `exec_module` replaces.

        Args:
            spec: Specification of the module.
        """

    def exec_module(self, module: ModuleType) -> None:
        """Warns and enters the module of the new name under the old one.

        Args:
            module: The empty module of the old name.

        Raises:
            ImportError: If the module has not moved.
        """
        old = module.__name__
        new = _new_name(old)
        if new is None:
            raise ImportError(f"{old} has not moved.", name=old)
        warnings.warn(
            f"{old} has moved to {new}; the old name will be removed in 0.3.0.",
            DeprecationWarning,
            stacklevel=2,
        )
        sys.modules[old] = importlib.import_module(new)


def _new_name(old: str) -> str | None:
    for before, now in MOVED.items():
        if old == before or old.startswith(f"{before}."):
            return now + old.removeprefix(before)
    return None


def install() -> None:
    """Makes the old names importable; calling it twice changes nothing."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        # First, as Python's own finder would load modules of a moved package a second time.
        sys.meta_path.insert(0, MovedModules())
