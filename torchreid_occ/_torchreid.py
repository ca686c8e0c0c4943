"""torchreid in either layout; all of this package imports it from here.

PyPI's torchreid 0.2.5 keeps its modules under ``torchreid.reid`` and sets them as attributes of
``torchreid``; upstream 1.4.0 has them as ``torchreid.*``. Both offer the same attributes.
"""

import warnings
from types import ModuleType
from typing import Any

from torchreid_occ.utils.dependencies import explain_import_failure


def import_torchreid() -> ModuleType:
    """Imports torchreid, with known failures explained.

    Raises:
        ImportError: With one line that says what to install.
    """
    try:
        with warnings.catch_warnings():
            # It recommends a compiled ranking that neither PyPI's torchreid nor we use.
            warnings.filterwarnings("ignore", message="Cython evaluation")
            import torchreid
    except (ImportError, RuntimeError) as error:
        explanation = explain_import_failure(error)
        if explanation is None:
            raise
        raise ImportError(explanation) from error
    return torchreid


def factory_table(module: ModuleType, name: str) -> dict[str, Any]:
    """Returns a table of torchreid's by its private name: models have no public registration.

    Args:
        module: The module of torchreid that holds it.
        name: Its name there.
    """
    return vars(module)[name]


torchreid: Any = import_torchreid()
