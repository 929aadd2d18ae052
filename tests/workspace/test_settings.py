"""Where a setting's value comes from, and what a wrong one says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.workspace import Invalid, Settings, Workspace


def _file(home: Path, **values: Any) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.json").write_text(json.dumps(values))
    return home


def test_the_order_is_program_environment_file_default(tmp_path: Path) -> None:
    home = _file(tmp_path, busy_timeout=4)
    variable = {"JUPYTER_MLOPS_BUSY_TIMEOUT": "5"}
    assert Settings.load(None, {}).busy_timeout == 60.0
    assert Settings.load(home, {}).busy_timeout == 4.0
    assert Settings.load(home, variable).busy_timeout == 5.0
    assert Settings.load(home, variable, busy_timeout=6.0).busy_timeout == 6.0


def test_every_setting_has_an_environment_name_and_help() -> None:
    for name, trait in Settings.class_traits().items():
        assert trait.metadata.get("env"), name
        assert trait.help, name
    names = [trait.metadata["env"] for trait in Settings.class_traits().values()]
    assert len(names) == len(set(names))


def test_an_unknown_setting_gets_a_suggestion(tmp_path: Path) -> None:
    home = _file(tmp_path, buzy_timeout=4)
    with pytest.raises(Invalid, match=r"did you mean 'busy_timeout'\?.*E-SETTINGS-001"):
        Settings.load(home, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUPYTER_MLOPS_BUSY_TIMEOUT", "soon"),
        ("JUPYTER_MLOPS_BUSY_TIMEOUT", "-1"),
        ("JUPYTER_MLOPS_ROW_LIMIT", "many"),
        ("JUPYTER_MLOPS_AGENT_START", "perhaps"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=rf"the variable {name} can't be '{value}'.*E-SETTINGS-002"):
        Settings.load(None, {name: value})


@pytest.mark.parametrize("content", ["{", "[]", "\ufffe", '"x"'])
def test_a_broken_settings_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_bytes(content.encode("utf-16"))
    with pytest.raises(Invalid, match=r"settings\.json can't be read.*E-SETTINGS-003"):
        Settings.load(tmp_path, {})


def test_who_acts_is_the_hub_user_else_the_login_name() -> None:
    assert Settings.load(None, {"JUPYTERHUB_USER": "ada"}).user == "ada"
    assert Settings.load(None, {"JUPYTERHUB_USER": "ada", "JUPYTER_MLOPS_USER": "bo"}).user == "bo"
    assert Settings.load(None, {}).user


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    secret = "postgresql://mlops:hunter2@db/mlops"
    settings = Settings.load(None, {"JUPYTER_MLOPS_DATABASE_URL": secret})
    shown = settings.shown()
    assert shown["database_url"] == "***"
    assert shown["tracking_uri"] == ""
    assert shown["busy_timeout"] == 60.0
    with pytest.raises(Invalid) as raised:
        Settings.load(_file(tmp_path, database_url=[secret]), {})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql+psycopg2://u:hunter2@db/x", "E-STORE-001"),
        ("mysql://u:hunter2@db/x", "E-STORE-001"),
        ("hunter2", "E-STORE-016"),
        ("postgresql://u:hunter2@db:port/x", "E-STORE-016"),
    ],
)
def test_a_database_that_cannot_hold_a_store_is_refused(
    tmp_path: Path, url: str, code: str
) -> None:
    with pytest.raises(Invalid, match=code) as raised:
        Workspace.open(tmp_path, database_url=url)
    assert "hunter2" not in str(raised.value)
