"""The stress tests, each with a number of tries that suits a quick run."""

import pytest

from stress.__main__ import TESTS


@pytest.mark.parametrize("name", TESTS)
def test_every_try_holds(name, tmp_path):
    test = TESTS[name]

    tally = test.run(test.quick, 1, tmp_path)

    assert tally.broken == []
    assert tally.held == tally.tried >= test.quick
