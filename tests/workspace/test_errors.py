"""Errors are one sentence, wherever they surface."""

from __future__ import annotations

import pickle

import pytest

from jupyter_mlops.workspace import Conflict, Denied, Invalid, MLOpsError, NotFound, Unavailable


def test_an_error_says_what_why_and_the_way_out() -> None:
    error = NotFound("no dataset is called 'x'", "the workspace holds a, b", "use a", code="E-X-1")
    assert str(error) == "no dataset is called 'x': the workspace holds a, b; use a [E-X-1]"
    assert error._render_traceback_() == [str(error)]
    assert error.as_dict() == {
        "code": "E-X-1",
        "what": "no dataset is called 'x'",
        "why": "the workspace holds a, b",
        "fix": "use a",
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [(Invalid, 400), (Denied, 403), (NotFound, 404), (Conflict, 409), (Unavailable, 503)],
)
def test_an_error_crosses_processes_and_http(kind: type[MLOpsError], status: int) -> None:
    copy = pickle.loads(pickle.dumps(kind("a", "b", "c", code="E-X-2")))
    assert type(copy) is kind
    assert copy.as_dict() == {"what": "a", "why": "b", "fix": "c", "code": "E-X-2"}
    assert copy.status == status
