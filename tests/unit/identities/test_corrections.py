import pytest

from torchreid_occ.identities import Corrections


def test_corrections_add_up_and_are_kept_once():
    found = Corrections().with_([("a", "b")], [("c", "d")]).with_([("b", "a"), ("b", "c")])
    assert found == Corrections((("a", "b"), ("b", "c")), (("c", "d"),))


def test_contradictions_name_the_chain():
    known = Corrections().with_([("a", "b"), ("b", "c")])
    with pytest.raises(ValueError, match="a = b = c are one person, but a and c are two"):
        known.with_(split=[("a", "c")])
    with pytest.raises(ValueError, match="contradict"):
        Corrections().with_(split=[("a", "c")]).with_([("c", "b"), ("b", "a")])


def test_a_correction_can_be_forgotten():
    known = Corrections().with_([("a", "b")], [("c", "d")])
    assert known.without([("b", "a")]) == Corrections((), (("c", "d"),))
    with pytest.raises(KeyError, match="a and c have not been corrected"):
        known.without([("a", "c")])


def test_one_tracklet_is_no_pair():
    with pytest.raises(ValueError, match="two tracklets, but both are a"):
        Corrections().with_([("a", "a")])
