"""Files of labels: one, a folder of them, or a ZIP archive, read into memory and written whole."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound

__all__ = ["Contents", "Files", "Written", "read_files", "write_files"]

# More than any task's labels need; a ZIP archive may unpack to far more than it weighs.
MOST_BYTES = 2 << 30
MOST_FILES = 200_000
_LABELS = {".json", ".jsonl", ".csv", ".txt", ".xml", ".yaml", ".yml", ".ini", ".conll", ".iob"}
_LABELS |= {".spacy", ".names", ".bio", ".iob2"}

Files = Mapping[str, bytes]
"""Contents by path; a path has ``/`` between its parts."""
Contents = Mapping[str, bytes | Callable[[], bytes]]
"""Contents to be written; large ones are read when it is their turn."""


@dataclass(frozen=True)
class Written:
    """What a format makes of labels.

    `files` are contents by path, the main one first; `notes` say what the format can't hold.
    """

    files: dict[str, bytes]
    notes: tuple[str, ...] = field(default=())


def read_files(path: Path) -> Files:
    """Read a file, the label files below a folder, or those in a ZIP archive.

    Raises
    ------
    NotFound
        There is no such file.
    Invalid
        It can't be read, or is too large.
    """
    if not path.exists():
        raise NotFound(
            f"there is no file {str(path)!r}",
            fix="give its path from the notebook's folder",
            code="E-LABEL-303",
        )
    try:
        if path.is_dir():
            return _folder(path)
        if zipfile.is_zipfile(path):
            return _archive(path)
        _check(path, path.stat().st_size, 1)
        return {path.name: path.read_bytes()}
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Invalid(f"{path} can't be read", reason, code="E-LABEL-304") from None


def _folder(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _LABELS and file.is_file():
            total += file.stat().st_size
            _check(path, total, len(found))
            found[file.relative_to(path).as_posix()] = file.read_bytes()
    return found


def _archive(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    with zipfile.ZipFile(path) as archive:
        for one in archive.infolist():
            if PurePosixPath(one.filename).suffix.lower() in _LABELS and not one.is_dir():
                # Read by no more than is left: an archive's own word for a size can be wrong.
                with archive.open(one) as file:
                    content = file.read(MOST_BYTES - total + 1)
                total += len(content)
                _check(path, total, len(found))
                found[one.filename] = content
    return found


def _check(path: Path, size: int, count: int) -> None:
    if size > MOST_BYTES or count > MOST_FILES:
        raise Invalid(
            f"{path} is too large to be labels",
            f"at most {MOST_FILES:,} files and {MOST_BYTES >> 30} GiB are read",
            "import it in parts",
            code="E-LABEL-305",
        )


def write_files(path: Path, files: Contents) -> list[Path]:
    """Write contents to a file with others beside it, into a folder, or into a ZIP archive.

    Parameters
    ----------
    path : pathlib.Path
        One that ends in ``.zip`` becomes an archive. Another with an ending becomes the first
        of `files`; the others get their names after its own, such as
        ``cats.json.manifest.json``. One without an ending is a folder.
    files : mapping of str to bytes, or to a function that gives them

    Returns
    -------
    list of pathlib.Path
        What was written, the main file first.

    Raises
    ------
    Conflict
        The folder holds files that aren't of these labels.
    Invalid
        The path can't be written.
    """
    try:
        if path.suffix.lower() == ".zip":
            return [_place(path, files)]
        if path.suffix:
            first, *others = files
            names = {first: path} | {
                name: path.with_name(f"{path.name}.{name.replace('/', '.')}") for name in others
            }
        else:
            _check_folder(path, files)
            names = {name: path / name for name in files}
        return [_place(names[name], content) for name, content in files.items()]
    except OSError as error:
        raise Invalid(
            f"labels can't be written to {path}",
            error.strerror or str(error),
            "name a folder you may write to",
            code="E-LABEL-018",
        ) from None


def _check_folder(path: Path, files: Contents) -> None:
    """Old labels beside new ones would be read as theirs."""
    if not path.is_dir():
        return
    known = {path / name for name in files}
    endings = {PurePosixPath(name).suffix for name in files} & _LABELS
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix in endings and file not in known:
            raise Conflict(
                f"the folder {path} holds other files",
                f"{file.relative_to(path)} isn't of these labels",
                "name a new folder, or one that ends in .zip",
                code="E-LABEL-306",
            )


def _place(path: Path, content: bytes | Callable[[], bytes] | Contents) -> Path:
    """Write a file, or an archive of several, which appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        if isinstance(content, Mapping):
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, one in content.items():
                    # A fixed time, so that the same labels are the same bytes.
                    about = zipfile.ZipInfo(name)
                    archive.writestr(about, _bytes(one), zipfile.ZIP_DEFLATED)
        else:
            file.write(_bytes(content))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def _bytes(content: bytes | Callable[[], bytes]) -> bytes:
    return content if isinstance(content, bytes) else content()
