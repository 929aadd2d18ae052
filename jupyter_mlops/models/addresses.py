"""What MLflow's addresses of models mean: a run's model, a registered version, a logged model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jupyter_mlops.workspace import Invalid, NotFound, Workspace
from jupyter_mlops.workspace.tracking import explained

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Found", "find", "is_foreign"]

_LOGGED: Final = re.compile(r"models:/(m-[0-9a-f]+)$")
_VERSION: Final = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))$")
_RUN: Final = re.compile(r"runs:/([^/]+)/(.+)$")


@dataclass(frozen=True)
class Found:
    """What MLflow has: where its files are, and what they belong to."""

    source: str
    model_id: str | None = None
    run_id: str | None = None
    name: str | None = None
    number: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)


def is_foreign(text: str) -> bool:
    """Whether a text is one of MLflow's own addresses of models.

    Examples
    --------
    >>> is_foreign("runs:/0a1b/model"), is_foreign("run:0a1b")
    (True, False)
    """
    return text.startswith(("runs:/", "models:/"))


def find(ws: Workspace, client: MlflowClient, uri: str) -> Found:
    """Ask MLflow what an address means.

    Parameters
    ----------
    uri : str
        ``runs:/ID/model``, ``models:/NAME/3``, ``models:/NAME@alias`` or ``models:/m-…``.

    Raises
    ------
    NotFound
        There is no such model.
    Invalid
        It is no such address.
    """
    from mlflow.exceptions import MlflowException

    with explained(ws):
        try:
            if match := _LOGGED.match(uri):
                return _of_logged(client, match[1])
            if match := _VERSION.match(uri):
                return _of_version(client, match[1], match[2], match[3])
            if match := _RUN.match(uri):
                return _of_run(client, match[1], match[2].strip("/"))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise NotFound(
                f"MLflow has no model {uri}",
                error.message.splitlines()[0][:200],
                "copy the address from MLflow's page of the run or model",
                code="E-MODEL-070",
            ) from error
    raise Invalid(
        f"{uri!r} isn't an address of one of MLflow's models",
        fix="write runs:/ID/model, models:/NAME/3, models:/NAME@alias or models:/m-…",
        code="E-MODEL-071",
    )


def _of_logged(client: MlflowClient, model_id: str) -> Found:
    logged = client.get_logged_model(model_id)
    metrics = {one.key: float(one.value) for one in logged.metrics or []}
    run_id = logged.source_run_id or None
    return Found(f"models:/{model_id}", model_id, run_id, metrics=metrics)


def _of_version(client: MlflowClient, name: str, number: str | None, alias: str | None) -> Found:
    one = (
        client.get_model_version_by_alias(name, alias)
        if alias is not None
        else client.get_model_version(name, str(number))
    )
    source = str(one.source)
    inner = _find_inside(client, source)
    return Found(
        inner.source,
        inner.model_id or one.model_id or None,
        one.run_id or inner.run_id,
        name,
        int(one.version),
        inner.metrics or _metrics(client, one.run_id),
    )


def _find_inside(client: MlflowClient, source: str) -> Found:
    """What a version's source means: it may be an address again, or a place."""
    if match := _LOGGED.match(source):
        return _of_logged(client, match[1])
    if match := _RUN.match(source):
        return _of_run(client, match[1], match[2].strip("/"))
    return Found(source)


def _of_run(client: MlflowClient, run_id: str, path: str) -> Found:
    run = client.get_run(run_id)
    metrics = {key: float(value) for key, value in run.data.metrics.items()}
    for output in run.outputs.model_outputs if run.outputs else []:
        logged = client.get_logged_model(output.model_id)
        if logged.name == path:
            return Found(f"models:/{logged.model_id}", logged.model_id, run_id, metrics=metrics)
    # As MLflow kept models before its version 3: among the run's artifacts.
    return Found(f"{run.info.artifact_uri.rstrip('/')}/{path}", None, run_id, metrics=metrics)


def _metrics(client: MlflowClient, run_id: str | None) -> dict[str, float]:
    if not run_id:
        return {}
    return {key: float(value) for key, value in client.get_run(run_id).data.metrics.items()}
