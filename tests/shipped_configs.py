"""All configurations of the repository, resolved once for all tests of a process."""

import functools
from copy import deepcopy
from unittest.mock import patch

from support import REPOSITORY

from torchreid_occ.config import configurations, files, load_config
from torchreid_occ.runs.phases import phase_configs

CONFIGS = REPOSITORY / "configs"
_read = functools.cache(files.read_yaml)


@functools.cache
def all_configs():
    """Configurations by their path below `configs`, rows of a table as ``file.yaml#row``.

    A file is read once, not once for every row that builds on it.
    """
    with patch.object(files, "read_yaml", lambda path: deepcopy(_read(path))):
        names = [name for path in sorted(CONFIGS.rglob("*.yaml")) for name in configurations(path)]
        return {name.removeprefix(f"{CONFIGS}/"): load_config(name) for name in names}


@functools.cache
def all_phases():
    """Phases of all configurations by name; one without phases is its own only one, `train`."""
    return {name: phase_configs(one) or {"train": one} for name, one in all_configs().items()}


def phases_below(*folders):
    """Phases of the configurations below folders of `configs`, by row and phase."""
    return {
        (name, phase): config
        for name, phases in all_phases().items()
        if name.startswith(tuple(f"{folder}/" for folder in folders))
        for phase, config in phases.items()
    }
