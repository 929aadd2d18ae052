"""Secrets are written by name and looked up where they are used."""

from __future__ import annotations

import pytest

from jupyter_mlops.workspace import Invalid, NotFound
from jupyter_mlops.workspace.secrets import reveal


def test_a_secret_is_the_environment_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE", "s3same")
    assert reveal("secret:WAREHOUSE") == "s3same"


def test_a_missing_secret_is_told_with_the_way_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAREHOUSE", raising=False)
    with pytest.raises(NotFound, match="set the environment variable WAREHOUSE"):
        reveal("secret:WAREHOUSE")


def test_a_secret_itself_is_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        reveal("hunter2")
    assert "hunter2" not in str(caught.value)
