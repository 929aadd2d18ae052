"""Contracts as files: our own text, JSON Schema, pandera's YAML; written and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jupyter_mlops.profiling.contracts.jsonschema import from_json_schema, to_json_schema
from jupyter_mlops.profiling.contracts.model import Contract
from jupyter_mlops.workspace.errors import Conflict, Invalid, MLOpsError
from jupyter_mlops.workspace.results import Result

__all__ = ["Exported", "Format", "read", "write"]

Format = Literal["json", "json-schema", "pandera"]
_LOST: dict[str, list[str]] = {
    "json": [],
    "json-schema": [
        "JSON Schema judges one record: `minimum`, `enum` and the like refuse also what may lie "
        "outside in a share of a table. The shares are kept under `x-terms`.",
        "Keys, rows, freshness, drift and bounds of times aren't enforced by it; they are kept "
        "under `x-contract` and `x-terms`.",
    ],
    "pandera": [
        "Rules with a share are checks of ours: a program that reads the file imports "
        "`jupyter_mlops.profiling.contracts.pandera` first.",
        "Texts are of type String to it: a column of categoricals is cast before.",
        "Drift, roles, freshness and environments aren't enforced by pandera; they are kept "
        "under `metadata`.",
    ],
}


@dataclass(frozen=True)
class Exported(Result):
    """A contract that was written to a file, and what its format can't enforce."""

    contract: Contract
    file: str
    to: str
    lost: list[str] = field(default_factory=list)


def write(contract: Contract, file: str, to: Format = "json") -> Exported:
    """Write a contract to a file.

    Parameters
    ----------
    contract : Contract
    file : str
    to : {"json", "json-schema", "pandera"}

    Raises
    ------
    Invalid
        The file can't be written, or pandera isn't installed.
    Conflict
        The file is there and holds something else.
    """
    if to == "pandera":
        from jupyter_mlops.profiling.contracts.pandera import to_yaml

        text = to_yaml(contract)
    elif to == "json-schema":
        text = json.dumps(to_json_schema(contract), indent=1, ensure_ascii=False) + "\n"
    else:
        text = contract.text()
    path = Path(file).expanduser()
    if path.is_file() and path.stat().st_size and not _is_contract(path):
        raise Conflict(
            f"{path} is there already and holds no contract",
            fix="name another file, or remove that one first",
            code="E-CONTRACT-054",
        )
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(
            f"the contract can't be written to {path}",
            error.strerror or str(error),
            "name a file in a folder that is there",
            code="E-CONTRACT-050",
        ) from None
    return Exported(contract, str(path), to, list(_LOST[to]))


def _is_contract(path: Path) -> bool:
    try:
        read(str(path))
    except MLOpsError:
        return False
    return True


def read(file: str) -> Contract:
    """Read a contract from a file of any of the formats; which one, its content says.

    Raises
    ------
    Invalid
        It can't be read, or is none of them.
    """
    import yaml  # type: ignore[import-untyped]

    path = Path(file).expanduser()
    try:
        # JSON is YAML, but for a few escapes.
        text = path.read_text("utf-8")
        body: Any = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise Invalid(
            f"the contract in {path} can't be read",
            str(reason),
            "give a file that `contract export` or pandera wrote",
            code="E-CONTRACT-051",
        ) from None
    if isinstance(body, dict) and ("schema_type" in body or body.get("api") in _BACKENDS):
        from jupyter_mlops.profiling.contracts.pandera import from_serialized

        return from_serialized(body)
    if isinstance(body, dict) and ("properties" in body or "$schema" in body):
        return from_json_schema(body)
    if not isinstance(body, dict) or "columns" not in body:
        raise Invalid(
            f"{path} holds no contract",
            fix="give a file that `contract export` or pandera wrote",
            code="E-CONTRACT-055",
        )
    return Contract.from_dict(body)


_BACKENDS = ("polars", "pandas", "dask", "modin")
