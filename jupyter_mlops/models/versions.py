"""Registered versions as they are told to others, and finding the one a person means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from jupyter_mlops.models.files import FILES
from jupyter_mlops.models.folder import pinned
from jupyter_mlops.models.records import ModelVersionRecord
from jupyter_mlops.models.settling import settle
from jupyter_mlops.models.waivers import require
from jupyter_mlops.models.ways import way
from jupyter_mlops.workspace import NotFound, Reference, Result, Workspace, closest
from jupyter_mlops.workspace.tracking import explained, tracking_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

    from jupyter_mlops.profiling.contracts import Contract

__all__ = ["ModelVersion", "Models", "get", "list_models", "load"]


@dataclass(frozen=True)
class ModelVersion(Result):
    """One registered version of a model.

    Attributes
    ----------
    name : str
    version : int
    aliases : tuple of str
        The aliases that point to it.
    run_id : str
        The run that trained it; empty when it was trained elsewhere.
    digest : str
        SHA-256 of its files, see `folder_digest`.
    source : str
        Where MLflow keeps the files.
    task : str
        ``binary``, ``multiclass``, ``regression``; or ``any``, which only MLflow can ask.
    features : tuple of str
        The columns it takes, in order.
    signature : dict
        ``inputs`` (each ``name``, ``type``, ``required``) and ``outputs``, as MLflow has them.
    data_ref, contract_ref : str or None
        The dataset it was trained on, and the contract that this dataset kept.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    digest: str
    source: str
    actor: str
    created_at: datetime
    task: str
    target: str | None
    data_ref: str | None
    contract_ref: str | None
    features: tuple[str, ...]
    signature: dict[str, Any]
    metrics: dict[str, float]

    @classmethod
    def of(cls, row: ModelVersionRecord, aliases: Sequence[str]) -> ModelVersion:
        return cls(
            row.name,
            row.version,
            tuple(sorted(aliases)),
            row.run_id,
            row.digest,
            row.source,
            row.actor,
            row.created_at,
            row.task,
            row.target,
            row.data_ref,
            row.contract_ref,
            tuple(row.features),
            row.signature,
            row.metrics,
        )

    @property
    def ref(self) -> str:
        """``model:name@version``."""
        return f"model:{self.name}@{self.version}"

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    def path(self, ws: Workspace) -> Path:
        """The local folder of its files (``MLmodel``, ``model.skops`` …), digest verified.

        Raises
        ------
        Denied
            The files aren't the ones that were registered, or loading them may run any code
            and no waiver for that is recorded any more.
        """
        import yaml  # type: ignore[import-untyped]

        folder = pinned(ws, self.digest, self.source, self.label)
        if (folder / FILES["pickle"]).exists():
            require(ws, self.name)
        # What files of skops hold is looked at when they are loaded.
        why = way(yaml.safe_load((folder / "MLmodel").read_bytes())).hazard
        if why:
            require(ws, self.name, why)
        return folder

    def contract(self, ws: Workspace) -> Contract | None:
        """The contract that its training data kept; None when it was trained without one."""
        import orjson

        from jupyter_mlops.profiling.contracts import Contract

        file = self.path(ws) / "contract.json"
        return Contract.from_dict(orjson.loads(file.read_bytes())) if file.is_file() else None


@dataclass(frozen=True)
class Models(Result, Sequence[ModelVersion]):
    """Registered versions, by name, the newest first.

    Attributes
    ----------
    verdicts : dict of str to bool
        Whether a version passed its gates when they were asked last, by reference.
    """

    items: tuple[ModelVersion, ...]
    name: str | None = None
    verdicts: dict[str, bool] = field(default_factory=dict)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def get(ws: Workspace, model: str | ModelVersion) -> ModelVersion:
    """Find the version that ``delay@champion``, ``model:delay@3`` or ``delay`` means.

    Parameters
    ----------
    ws : Workspace
    model : str or ModelVersion
        With an alias or a version number; a bare name means its newest version.

    Raises
    ------
    NotFound
        There is no such model, version or alias.
    """
    if isinstance(model, ModelVersion):
        model = model.ref
    reference = Reference.parse(model, kind="model")
    rows = _rows(ws, reference.name)
    if not rows:
        raise _no_model(ws, reference.name)
    client = tracking_client(ws)
    settle(ws, client, reference.name)
    registered = _registered(ws, client, reference.name)
    aliases = _aliases(registered)
    if reference.version is None:
        number = max(row.version for row in rows)
    elif reference.number is not None:
        number = reference.number
    elif reference.version in registered.aliases:
        number = int(registered.aliases[reference.version])
    else:
        known = sorted(registered.aliases)
        raise NotFound(
            f"the model {reference.name!r} has no alias {reference.version!r}",
            f"it has {', '.join(known)}" if known else "it has none",
            closest(reference.version, known)
            or f"`%mlops register RUN {reference.name} --alias {reference.version}` gives it one",
            code="E-MODEL-003",
        )
    for row in rows:
        if row.version == number:
            return ModelVersion.of(row, aliases.get(number, []))
    raise NotFound(
        f"the model {reference.name!r} has no version {number} that was registered here",
        f"it has {', '.join(str(row.version) for row in rows)}",
        "register it with `%mlops register`, which records the digest of its files",
        code="E-MODEL-004",
    )


def list_models(ws: Workspace, name: str | None = None) -> Models:
    """List registered versions.

    Parameters
    ----------
    ws : Workspace
    name : str, optional
        Only that model's.

    Raises
    ------
    NotFound
        There is no model of that name.
    """
    if name is not None:
        name = Reference.parse(name, kind="model").name
    rows = _rows(ws, name)
    if not rows:
        if name is not None:
            raise _no_model(ws, name)
        return Models(())
    client = tracking_client(ws)
    settle(ws, client)
    aliases = {
        one: _aliases(_registered(ws, client, one)) for one in sorted({row.name for row in rows})
    }
    items = [ModelVersion.of(row, aliases[row.name].get(row.version, [])) for row in rows]
    return Models(tuple(items), name)


def load(ws: Workspace, version: str | ModelVersion) -> Any:
    """Load a registered model from its verified files, without running anybody's code.

    Raises
    ------
    Denied
        The files were changed, hold what isn't allowed, or are a pickle.

    Examples
    --------
    >>> load(ws, "delay@champion").predict(frame)  # doctest: +SKIP
    """
    from jupyter_mlops.models.formats import open_folder

    found = version if isinstance(version, ModelVersion) else get(ws, version)
    return open_folder(found.path(ws))


def _rows(ws: Workspace, name: str | None) -> list[ModelVersionRecord]:
    query = select(ModelVersionRecord).order_by(
        ModelVersionRecord.name, ModelVersionRecord.version.desc()
    )
    if name is not None:
        query = query.where(ModelVersionRecord.name == name)
    with ws.read() as session:
        rows = list(session.scalars(query))
        session.expunge_all()
    return rows


def _registered(ws: Workspace, client: MlflowClient, name: str) -> RegisteredModel:
    from mlflow.exceptions import MlflowException

    with explained(ws):
        try:
            return client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    raise NotFound(
        f"MLflow no longer has the model {name!r}",
        "somebody deleted or renamed it there",
        "register the run again",
        code="E-MODEL-005",
    )


def _aliases(registered: RegisteredModel) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias, version in registered.aliases.items():
        found.setdefault(int(version), []).append(alias)
    return found


def _no_model(ws: Workspace, name: str) -> NotFound:
    with ws.read() as session:
        known = sorted(session.scalars(select(ModelVersionRecord.name).distinct()))
    return NotFound(
        f"no model is called {name!r}",
        f"there are {', '.join(known[:20])}" if known else "none is registered yet",
        closest(name, known) or "`%mlops register RUN NAME` registers one",
        code="E-MODEL-001",
    )
