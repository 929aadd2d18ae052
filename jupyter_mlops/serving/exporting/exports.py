"""Writing a bundle: whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from jupyter_mlops.serving.exporting.container import write_container
from jupyter_mlops.serving.exporting.kserve import write_kserve
from jupyter_mlops.serving.exporting.pins import Lock, lock, recorded, wanted
from jupyter_mlops.serving.exporting.rayserve import write_rayserve
from jupyter_mlops.serving.exporting.readmes import readme
from jupyter_mlops.serving.exporting.target import Target
from jupyter_mlops.serving.exporting.triton import write_triton
from jupyter_mlops.serving.modelfile import directory_digest, read_model_file
from jupyter_mlops.workspace import (
    Conflict,
    Denied,
    Invalid,
    Result,
    Unavailable,
    Workspace,
    check_name,
)
from jupyter_mlops.workspace.records import new_id

__all__ = ["KINDS", "Export", "Kind", "export"]

Kind = Literal["oci", "kserve", "rayserve", "triton", "mlflow"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)


class Version(Protocol):
    """What is needed of a registered model; `models.ModelVersion` is one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def ref(self) -> str: ...
    def path(self, ws: Workspace) -> Path: ...


@dataclass(frozen=True)
class Export(Result):
    """A bundle that was written.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    model : str
        ``name@version``.
    ref : str
        ``model:name@version``.
    digest : str
        Of the model's files.
    to : Path
        The bundle's folder.
    endpoint : str
        How clients call the model in V2 paths.
    files : tuple of (str, int)
        What was written, folders as a whole, with bytes.
    next : str
        The first command of its README.
    notes : tuple of str
        What to know of it, in sentences.
    """

    kind: str
    model: str
    ref: str
    digest: str
    to: Path
    endpoint: str
    files: tuple[tuple[str, int], ...]
    next: str
    notes: tuple[str, ...]


def export(
    ws: Workspace,
    version: Version,
    kind: Kind,
    to: str | Path,
    *,
    name: str | None = None,
    image: str | None = None,
) -> Export:
    """Write all that serves a model elsewhere into a folder.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    kind : {"oci", "kserve", "rayserve", "triton", "mlflow"}
    to : str or Path
        A folder that is empty or doesn't exist.
    name : str, optional
        How clients call the model in V2 paths; the model's name when left out.
    image : str, optional
        How the container's image is called; ``NAME:VERSION`` when left out.

    Returns
    -------
    Export

    Raises
    ------
    Conflict
        The folder holds something.
    Invalid, Unavailable
        The model can't be served, or can't be converted; says why.

    Examples
    --------
    >>> export(ws, models.get(ws, "delay@champion"), "oci", "bundle")  # doctest: +SKIP
    """
    endpoint = check_name(name or version.name, "endpoint")
    folder = Path(to).expanduser().resolve()
    _check_free(folder)
    path = version.path(ws)
    target = Target(
        version.name, version.version, version.digest, path, read_model_file(path), endpoint,
        image or f"{endpoint.lower()}:{version.version}",
    )  # fmt: skip
    draft = folder.with_name(f".{folder.name}.{new_id()[-12:]}.draft")
    try:
        draft.mkdir(parents=True)
        notes = _write(ws, draft, target, version.run_id, kind)
        (draft / "README.md").write_text(readme(kind, target, notes), "utf-8")
        _check_copy(draft / "model", target)
        files = _listed(draft)
        if folder.is_dir():
            folder.rmdir()  # empty, as was checked
        draft.rename(folder)
    except OSError as error:
        raise Unavailable(
            f"the bundle can't be written to {folder}",
            error.strerror or str(error),
            "check the disk's space and your rights there",
            code="E-EXPORT-003",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    with ws.write() as tx:
        tx.emit(
            "model.exported",
            version.ref,
            payload={"as": kind, "to": str(folder), "digest": version.digest},
            inputs=[version.ref],
        )
    return Export(
        kind, target.label, version.ref, version.digest, folder, endpoint, files,
        _NEXT[kind].format(image=target.image, endpoint=endpoint), tuple(notes),
    )  # fmt: skip


_NEXT: Final = {
    "oci": "podman build -t {image} .",
    "kserve": "podman build -t {image} . && kubectl apply -f inferenceservice.yaml",
    "rayserve": "serve run serve_config.yaml",
    "triton": "tritonserver --model-repository=model_repository",
    "mlflow": "mlflow models serve -m model",
}


def _write(ws: Workspace, folder: Path, target: Target, run_id: str, kind: Kind) -> list[str]:
    if kind == "mlflow":
        shutil.copytree(target.path, folder / "model")
        return []
    if kind == "triton":
        return write_triton(folder, target)
    surroundings = recorded(ws, run_id)
    locked = lock(wanted(target.path), surroundings)
    if kind == "rayserve":
        write_rayserve(folder, target, locked)
    else:
        write_container(folder, target, locked, surroundings.python)
    if kind == "kserve":
        write_kserve(folder, target)
    return _told(locked, here=surroundings.here)


def _told(locked: Lock, *, here: bool) -> list[str]:
    notes = []
    if not locked.hashed:
        notes.append(
            "requirements.txt holds versions without hashes, because no package index had them "
            f"({locked.why}): export again where one answers."
        )
    if here:
        notes.append(
            "The run that trained the model isn't known here, so the packages are those of the "
            "environment that wrote the bundle."
        )
    return notes


def _check_free(folder: Path) -> None:
    if folder.is_file():
        raise Invalid(f"{folder} is a file", fix="name a folder", code="E-EXPORT-001")
    if folder.is_dir() and any(folder.iterdir()):
        raise Conflict(
            f"{folder} isn't empty",
            fix="name an empty folder, or one that doesn't exist yet",
            code="E-EXPORT-002",
        )


def _check_copy(copy: Path, target: Target) -> None:
    if copy.is_dir() and directory_digest(copy) != target.digest:
        raise Denied(
            f"the files of {target.label} changed while they were copied",
            fix="export it again",
            code="E-EXPORT-004",
        )


def _listed(folder: Path) -> tuple[tuple[str, int], ...]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
            found.append((f"{path.name}/", size))
        else:
            found.append((path.name, path.stat().st_size))
    return tuple(found)
