import inspect

import pytest

from torchreid_occ.config import check_options
from torchreid_occ.models import MODELS
from torchreid_occ.utils.signatures import takes_options_of


def target(size, depth=3, name="a"):
    return size, depth, name


@takes_options_of(target)
def passes_on(width, name="b", **options):
    """Passes options on."""
    return width, name, options


class Takes:
    @takes_options_of(target)
    def __init__(self, width, **options):
        self.made = target(width, **options)


def test_the_signature_lists_the_options_that_are_passed_on():
    assert str(inspect.signature(passes_on)) == "(width, name='b', *, depth=3)"
    assert str(inspect.signature(Takes)) == "(width, *, depth=3, name='a')"
    assert passes_on.__doc__ == "Passes options on."


def test_options_arrive():
    assert passes_on(1, depth=5) == (1, "b", {"depth": 5})
    assert Takes(1, name="c").made == (1, 3, "c")


@pytest.mark.parametrize("function", [passes_on, Takes])
def test_unknown_options_are_refused(function):
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        function(1, size=2)


def test_configurations_are_checked_against_it():
    check_options("model.options", {"num_regions": 6, "stages": [3]}, MODELS["rfcnet"])
    with pytest.raises(KeyError, match=r"'regions'.*rfcnet takes .*'num_regions'"):
        check_options("model.options", {"regions": 6}, MODELS["rfcnet"])
