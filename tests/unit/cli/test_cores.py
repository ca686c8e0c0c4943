"""How OpenMP's threads wait for one another."""

import pytest

from torchreid_occ.cli.cores import OFF, SPINS, share_cores, waiting
from torchreid_occ.cli.hardware import processor


def test_threads_sleep_after_a_short_wait():
    environ = {}
    assert waiting(environ) == "OpenMP's threads spin"
    share_cores(environ)
    assert environ == {"GOMP_SPINCOUNT": SPINS}
    assert waiting(environ) == f"OpenMP's threads wait by GOMP_SPINCOUNT={SPINS}"


@pytest.mark.parametrize(
    "given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}, {OFF: "1"}]
)
def test_what_users_set_stays(given):
    environ = dict(given)
    share_cores(environ)
    assert environ == given


def test_the_doctor_says_how_threads_wait(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert "OMP_WAIT_POLICY=PASSIVE" in processor().text
