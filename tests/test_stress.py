"""The stress tests, each with a number of tries that suits a quick run."""

import pytest

from stress.__main__ import TESTS

QUICK = ("flags", "idx", "images")  # the others take minutes


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in TESTS],
)
def test_every_try_holds(name, tmp_path):
    test = TESTS[name]

    tally = test.run(test.quick, 1, tmp_path)

    assert tally.broken == []
    assert tally.held == tally.tried >= test.quick
