import pytest

from torchreid_occ.occlusion.occlude import occlude_dataset

SOURCE = "occwalk_tiny.clean"


@pytest.fixture(scope="session")
def copy_folder(occwalk_root, tmp_path_factory):
    """A copy of OccWalk's clean twin in which all parts are occluded, by people, seed 0."""
    folder = tmp_path_factory.mktemp("occluded") / "copy"
    occlude_dataset(SOURCE, occwalk_root, folder, workers=0)
    return folder
