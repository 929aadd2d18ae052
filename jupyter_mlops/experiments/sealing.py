"""Sealing a cell: a digest of everything that its outcome depends on, and the record of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from jupyter_mlops.experiments.body import Body, free_variables
from jupyter_mlops.experiments.localcode import local_modules
from jupyter_mlops.experiments.records import CellRecord, EnvironmentRecord
from jupyter_mlops.experiments.surroundings import (
    Checkout,
    Environment,
    environment,
    notebook_validity,
)
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.data import Table

__all__ = ["keep_cell", "keep_environment", "labels_seal", "seal"]


def seal(
    body: Body,
    namespace: dict[str, Any],
    seed: int,
    checkout: Checkout,
    *,
    table: Any = None,
    more: dict[str, Any] | None = None,
    skip: frozenset[str] = frozenset(),
    surroundings: Environment | None = None,
) -> tuple[CellRecord, Environment]:
    """Seal a cell before it runs.

    Parameters
    ----------
    body : Body
    namespace : dict
        The notebook's names.
    seed : int
    checkout : Checkout
        Asked before, read here.
    table : Table, optional
        The dataset that the body sees as ``data``.
    more : dict, optional
        What else its outcome depends on, by name, such as a contract.
    skip : frozenset of str
        Names that aren't the notebook's.
    surroundings : Environment, optional
        What it runs with; this process's own packages when left out.

    Returns
    -------
    CellRecord
        Not stored yet; its id is the digest.
    Environment
        The packages it runs with.
    """
    if table is not None:
        skip |= {"data"}
    variables = free_variables(body, namespace, skip)
    surroundings = surroundings or environment()
    cell = CellRecord(
        source=body.source,
        variables={key: value.as_dict() for key, value in variables.items()} | (more or {}),
        modules=local_modules(body.tree, namespace),
        data_ref=None if table is None else table.ref,
        data_digest=None if table is None else table.digest,
        environment=surroundings.digest,
        seed=seed,
        git=checkout.read(),
        validity=notebook_validity(namespace),
        created_at=utcnow(),
    )
    cell.id = _digest(cell)
    return cell, surroundings


def labels_seal(labels: Table | None) -> dict[str, dict[str, str]]:
    """What a cell's outcome depends on when it sees `labels`: which they were.

    Parameters
    ----------
    labels : Table, optional
        A version of a label set.

    Returns
    -------
    dict
        For the `more` of `seal`; empty without labels.
    """
    if labels is None:
        return {}
    return {"--labels": {"kind": "labels", "digest": labels.digest, "method": labels.label}}


def _digest(cell: CellRecord) -> str:
    """SHA-256 over everything that the outcome depends on, as JSON with sorted keys."""
    content = {
        "source": cell.source,
        "variables": cell.variables,
        "modules": cell.modules,
        "data": cell.data_digest,
        "environment": cell.environment,
        "seed": cell.seed,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def keep_cell(session: Session, cell: CellRecord, surroundings: Environment) -> None:
    """Store a sealed cell and its environment, unless they are there."""
    keep_environment(session, surroundings)
    if session.get(CellRecord, cell.id) is None:
        session.add(cell)
        session.flush()


def keep_environment(session: Session, found: Environment) -> None:
    """Store a list of packages, unless it is there."""
    if session.get(EnvironmentRecord, found.digest) is None:
        session.add(
            EnvironmentRecord(
                digest=found.digest,
                python=found.python,
                platform=found.platform,
                packages=list(found.packages),
                created_at=utcnow(),
            )
        )
        session.flush()
