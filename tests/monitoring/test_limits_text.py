"""A level of confidence is written in as many digits as it needs."""

from __future__ import annotations

import pytest

from jupyter_mlops.monitoring.limits import level


@pytest.mark.parametrize(
    ("confidence", "told"),
    [(0.95, "95%"), (0.9, "90%"), (0.991239, "99.1%"), (0.99995, "99.995%"), (1.0, "100%")],
)
def test_certainty_is_never_told_where_a_little_doubt_is_left(confidence, told):
    assert level(confidence) == told
