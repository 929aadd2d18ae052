"""Registering what somebody else logged in MLflow: a run's model, a version, a logged model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml  # type: ignore[import-untyped]
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jupyter_mlops.models.addresses import Found, find
from jupyter_mlops.models.aliases import check_alias, move_alias
from jupyter_mlops.models.folder import fetch
from jupyter_mlops.models.formats import hazard, open_folder
from jupyter_mlops.models.records import ModelVersionRecord
from jupyter_mlops.models.registry import check_gates, new_version, place
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.models.waivers import require
from jupyter_mlops.models.ways import way
from jupyter_mlops.workspace import Invalid, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import explained, tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["adopt"]

SOURCE: Final = "jupyter_mlops.adopted"


def adopt(ws: Workspace, uri: str, name: str, alias: str | None = None) -> ModelVersion:
    """Make a model that was logged with MLflow's own tools a version of the model `name`.

    The digest of all its files is recorded, and checked at each load from now on. A version of
    MLflow's registry that has the same name already keeps its number. The same model under the
    same name again gives the version that is there.

    Parameters
    ----------
    ws : Workspace
    uri : str
        ``runs:/ID/model``, ``models:/NAME/3``, ``models:/NAME@alias`` or ``models:/m-…``.
    name : str
    alias : str, optional
        Points to this version from now on.

    Raises
    ------
    NotFound
        MLflow has no such model.
    Invalid
        It has no signature or input example.
    Denied
        Loading it may run any code, and no waiver is recorded; or an alias would move past gates.

    Examples
    --------
    >>> adopt(ws, "runs:/8f2a…/model", "delay").label  # doctest: +SKIP
    'delay@1'
    """
    check_name(name, "model")
    if alias is not None:
        check_alias(alias)
        check_gates(ws, name, alias)
    client = tracking_client(ws)
    found = find(ws, client, uri)
    digest = fetch(ws, found.source)
    number = _known(ws, name, digest)
    if number is None:
        number = _record(ws, client, uri, found, name, digest)
    version = get(ws, f"{name}@{number}")
    if alias is not None and alias not in version.aliases:
        move_alias(ws, version, alias, "register")
        version = get(ws, f"{name}@{number}")
    return version


def _known(ws: Workspace, name: str, digest: str) -> int | None:
    with ws.read() as session:
        return session.scalar(
            select(ModelVersionRecord.version).where(
                ModelVersionRecord.name == name, ModelVersionRecord.digest == digest
            )
        )


def _record(
    ws: Workspace, client: MlflowClient, uri: str, found: Found, name: str, digest: str
) -> int:
    folder = ws.home / "models" / digest
    described = _described(folder, uri)
    signature = _signature(described, uri)
    why = hazard(folder)
    if why:
        require(ws, name, why)
    task = _task(folder, described, why)
    with explained(ws):
        number = found.number if found.name == name else None
        if number is None:
            tags = {SOURCE: f"{uri} {digest}"}
            number = new_version(
                client,
                name,
                place(client, found.source),
                tags,
                run_id=found.run_id,
                model_id=found.model_id,
            )
    row = ModelVersionRecord(
        name=name,
        version=number,
        run_id="",
        digest=digest,
        source=found.source,
        actor=ws.user,
        created_at=utcnow(),
        task=task,
        target=None,
        data_ref=None,
        contract_ref=None,
        features=[one["name"] for one in signature["inputs"]],
        signature=signature,
        metrics=found.metrics,
    )
    try:
        with ws.write() as tx:
            tx.session.add(row)
            tx.session.flush()
            tx.emit(
                "model.registered",
                f"model:{name}@{number}",
                payload={
                    "digest": digest,
                    "metrics": found.metrics,
                    "from": uri,
                    "mlflow_run": found.run_id or "",
                    **({"hazard": why} if why else {}),
                },
            )
    except IntegrityError:
        # Recorded before: by another process just now, or with files that were others.
        known = get(ws, f"{name}@{number}")
        if known.digest != digest:
            raise Invalid(
                f"{known.label} was registered with other files",
                f"their digest was {known.digest[:12]} and is {digest[:12]} now",
                "find out who changed them in MLflow; log the model again to register it",
                code="E-MODEL-072",
            ) from None
    return number


def _described(folder: Path, uri: str) -> dict[str, Any]:
    try:
        told = yaml.safe_load((folder / "MLmodel").read_bytes())
    except (OSError, yaml.YAMLError):
        told = None
    if not isinstance(told, dict):
        raise Invalid(
            f"no model lies at {uri}",
            "its file MLmodel is missing, or can't be read",
            "log it with mlflow's log_model",
            code="E-MODEL-073",
        )
    if not (told.get("signature") or {}).get("inputs"):
        raise Invalid(
            f"the model at {uri} has no signature",
            "without one no request can be checked",
            "log it again with log_model(…, signature=infer_signature(X, model.predict(X)))",
            code="E-MODEL-074",
        )
    if not told.get("saved_input_example_info"):
        raise Invalid(
            f"the model at {uri} has no input example",
            "without one nobody knows that it loads and answers",
            "log it again with log_model(…, input_example=X.head())",
            code="E-MODEL-075",
        )
    return told


def _signature(described: dict[str, Any], uri: str) -> dict[str, Any]:
    """Inputs, outputs and parameters, each with a name, a type in words, and what MLflow says."""
    kept = described["signature"]
    try:
        parts = {key: json.loads(kept.get(key) or "[]") for key in ("inputs", "outputs", "params")}
        for key in ("inputs", "outputs"):
            parts[key] = [
                {**one, "name": _name(one, n), "type": _type(one), "required": _required(one)}
                for n, one in enumerate(parts[key])
            ]
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(
            f"the signature of the model at {uri} can't be read",
            f"{type(error).__name__}: {error}",
            "log it again with a signature",
            code="E-MODEL-076",
        ) from error
    return parts


def _name(one: dict[str, Any], place: int) -> str:
    return str(one["name"]) if one.get("name") not in (None, "") else str(place)


def _type(one: dict[str, Any]) -> str:
    if one["type"] != "tensor":
        return str(one["type"])
    spec = one["tensor-spec"]
    return f"{spec['dtype']}[{','.join(map(str, spec['shape']))}]"


def _required(one: dict[str, Any]) -> bool:
    return bool(one.get("required", True))


def _task(folder: Path, described: dict[str, Any], why: str) -> str:
    """What the model does, where it can be asked without running anybody's code."""
    if why or way(described).exact:
        return "any"
    model = open_folder(folder)
    if not callable(getattr(model, "predict", None)):
        raise Invalid(
            f"a {type(model).__name__} can't predict",
            "an endpoint asks a model for predictions",
            "log it with pyfunc_predict_fn='transform', say, which is asked instead",
            code="E-MODEL-077",
        )
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, list):
        return "regression" if classes is None else "any"
    return "binary" if len(classes) == 2 else "multiclass"
