"""Registering a run's model: a version in MLflow, the digest and the event here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jupyter_mlops.models.aliases import check_alias, move_alias
from jupyter_mlops.models.files import FILES
from jupyter_mlops.models.folder import fetch
from jupyter_mlops.models.outliers.keeping import add_scorer
from jupyter_mlops.models.records import GateRecord, ModelVersionRecord
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.models.waivers import require
from jupyter_mlops.workspace import Denied, Invalid, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import explained, tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Trained", "check_gates", "new_version", "place", "register"]

TAG = "jupyter_mlops.run"
CONTRACT = "jupyter_mlops.contract"


class Trained(Protocol):
    """What registering takes of a run; `experiments.Run` is one."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def metrics(self) -> dict[str, float]: ...
    @property
    def data_ref(self) -> str | None: ...
    @property
    def model(self) -> dict[str, Any]: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def mlflow_run_id(self) -> str | None: ...
    @property
    def mlflow_model_id(self) -> str | None: ...


def register(ws: Workspace, run: Trained, name: str, alias: str | None = None) -> ModelVersion:
    """Make a run's model a version of the model `name`.

    Registering the same run under the same name again gives the version that is there;
    its alias moves if one is given.

    Parameters
    ----------
    ws : Workspace
    run : Run
        Finished, with a model and a signature, and known to MLflow.
    name : str
    alias : str, optional
        Points to this version from now on.

    Returns
    -------
    ModelVersion

    Raises
    ------
    Invalid
        The run has no model, or the model no signature or input example.
    Denied
        It is a pickle without a waiver, or an alias would move past gates.
    """
    check_name(name, "model")
    if alias is not None:
        check_alias(alias)
        check_gates(ws, name, alias)
    _check(run)
    if run.model.get("format") == "pickle":
        require(ws, name)
    client = tracking_client(ws)
    number = _known(ws, run, name)
    if number is None:
        number = _create(ws, client, run, name)
    version = get(ws, f"{name}@{number}")
    if alias is not None and alias not in version.aliases:
        move_alias(ws, version, alias, "register")
        version = get(ws, f"{name}@{number}")
    return version


def check_gates(ws: Workspace, name: str, alias: str) -> None:
    """An alias moves past a model's gates by promoting alone."""
    with ws.read() as session:
        gated = session.scalar(select(GateRecord.name).where(GateRecord.model == name).limit(1))
    if gated is not None:
        raise Denied(
            f"{name} has gates, and registering doesn't look at them",
            fix=f"register it without --alias, then `%mlops promote {name} {alias}`",
            code="E-MODEL-015",
        )


def _check(run: Trained) -> None:
    short = run.id[:8]
    if run.status != "finished":
        raise Invalid(
            f"run {short} of {run.name} is {run.status}",
            fix="register a run that finished",
            code="E-MODEL-006",
        )
    reasons = " ".join(run.notes)
    if not run.model.get("sha256") or run.mlflow_model_id is None:
        raise Invalid(
            f"run {short} of {run.name} kept no model",
            reasons,
            "" if reasons else "train it again",
            code="E-MODEL-007",
        )
    if not run.model.get("signature"):
        raise Invalid(
            f"the model of run {short} has no signature",
            reasons,
            "" if reasons else "fit it on a data frame, so that its columns have names and types",
            code="E-MODEL-008",
        )
    if not (run.model.get("example") or {}).get("data"):
        raise Invalid(
            f"the model of run {short} has no input example",
            "the frame it was fitted on has no rows",
            "fit it on a data frame with rows",
            code="E-MODEL-017",
        )


def _known(ws: Workspace, run: Trained, name: str) -> int | None:
    with ws.read() as session:
        return session.scalar(
            select(ModelVersionRecord.version).where(
                ModelVersionRecord.name == name, ModelVersionRecord.run_id == run.id
            )
        )


def _create(ws: Workspace, client: MlflowClient, run: Trained, name: str) -> int:
    source = f"models:/{run.mlflow_model_id}"
    outliers = add_scorer(ws, client, run)
    # The files are fetched and digested first: a version is never there without its digest.
    digest = fetch(ws, source)
    _check_content(ws, run, digest)
    with explained(ws):
        number = _version_in_mlflow(client, run, name, place(client, source))
    row = ModelVersionRecord(
        name=name,
        version=number,
        run_id=run.id,
        digest=digest,
        source=source,
        actor=ws.user,
        created_at=utcnow(),
        task=run.model["task"],
        target=run.model.get("target"),
        data_ref=run.data_ref,
        contract_ref=_contract_ref(run),
        features=run.model["features"],
        signature=run.model["signature"],
        metrics=run.metrics,
    )
    try:
        with ws.write() as tx:
            tx.session.add(row)
            tx.session.flush()
            tx.emit(
                "model.registered",
                f"model:{name}@{number}",
                payload={"digest": digest, "metrics": run.metrics, "outliers": outliers},
                inputs=[f"run:{run.id}", *_learnt_from(run)],
            )
    except IntegrityError:
        pass  # another process has registered the same version meanwhile
    return number


def _contract_ref(run: Trained) -> str | None:
    return (run.model.get("contract") or {}).get("ref")


def _learnt_from(run: Trained) -> list[str]:
    return [ref for ref in (run.data_ref, _contract_ref(run)) if ref]


def _check_content(ws: Workspace, run: Trained, digest: str) -> None:
    file = FILES[run.model.get("format", "skops")]
    content = (ws.home / "models" / digest / file).read_bytes()
    if hashlib.sha256(content).hexdigest() != run.model["sha256"]:
        raise Invalid(
            f"the model that MLflow keeps of run {run.id[:8]} isn't the one it trained",
            "its file was changed since",
            "train it again",
            code="E-MODEL-014",
        )


def _contract_tag(run: Trained) -> dict[str, str]:
    """Which contract the model lives by, and the digest by which `contract.json` is known."""
    told = run.model.get("contract")
    return {CONTRACT: f"{told['ref']} {told['digest']}"} if told else {}


def place(client: MlflowClient, source: str) -> str:
    """What MLflow is told to be the version's source.

    A server resolves ``models:/`` by itself. Without one, MLflow resolves it in the kernel,
    by the global tracking URI, which may be another one than the workspace's.
    """
    if client.tracking_uri.startswith("http") or not source.startswith("models:/"):
        return source
    return str(client.get_logged_model(source.removeprefix("models:/")).artifact_location)


def _version_in_mlflow(client: MlflowClient, run: Trained, name: str, source: str) -> int:
    tags = {TAG: run.id, **_contract_tag(run)}
    return new_version(
        client, name, source, tags, run_id=run.mlflow_run_id, model_id=run.mlflow_model_id
    )


def new_version(
    client: MlflowClient,
    name: str,
    source: str,
    tags: dict[str, str],
    *,
    run_id: str | None,
    model_id: str | None,
) -> int:
    """Make a version in MLflow's registry; the first of `tags` tells it from all others."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # One left by a process that died before it could record it is taken over.
    key, value = next(iter(tags.items()))
    for found in client.search_model_versions(f"name = '{name}'"):
        if found.tags.get(key) == value:
            return int(found.version)
    created = client.create_model_version(name, source, run_id=run_id, tags=tags, model_id=model_id)
    return int(created.version)
