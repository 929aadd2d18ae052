"""What every trial starts from: the cell's variables, kept in files that workers map into memory.

Arrays and the columns of frames are written as they lie in memory (pickle protocol 5, PEP 574).
A trial maps them privately: all trials of a machine share one copy in the page cache, each may
write to its own view, and none sees what another wrote.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import pickle
import shutil
import sys
import tempfile
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cloudpickle

from jupyter_mlops.experiments.localcode import files_of
from jupyter_mlops.workspace import Invalid, MLOpsError, NotFound, Unavailable

__all__ = ["Shipment", "pack"]

_ALIGN: Final = 64
#: Arrays below this are cheaper within the stream than apart.
_SMALL: Final = 1 << 12
_VALUES, _BUFFERS, _INDEX = "values.pickle", "buffers.bin", "index.json"
_MODULES: Final = "modules"


@dataclass(frozen=True)
class Shipment:
    """A folder with values and local modules, named by the digest of its content.

    Attributes
    ----------
    folder : Path
    digest : str
        SHA-256 of all that is in it.
    size : int
        Bytes.
    names : tuple of str
    """

    folder: Path
    digest: str
    size: int
    names: tuple[str, ...]

    @classmethod
    def at(cls, folder: Path) -> Shipment:
        """The shipment in a folder.

        Raises
        ------
        NotFound
            There is none.
        """
        try:
            index = json.loads((folder / _INDEX).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise NotFound(
                "the experiment's variables are gone",
                f"{folder} can't be read: {error}",
                "run the cell again",
                code="E-EXPERIMENT-010",
            ) from None
        return cls(folder, index["digest"], index["size"], tuple(index["names"]))

    @property
    def modules(self) -> Path | None:
        """The folder with the notebook's own modules, to be put on the import path."""
        folder = self.folder / _MODULES
        return folder if folder.is_dir() else None

    def load(self) -> dict[str, Any]:
        """The variables, new for each call; large ones are mapped, not read."""
        index = json.loads((self.folder / _INDEX).read_text("utf-8"))
        views: list[memoryview] = []
        if index["buffers"]:
            with (self.folder / _BUFFERS).open("rb") as file:
                # A private mapping: written pages belong to this trial alone. It lives as long
                # as the arrays that look into it.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            whole = memoryview(mapped)
            views = [whole[start : start + size] for start, size in index["buffers"]]
        stream = (self.folder / _VALUES).read_bytes()
        # Our own file in the workspace, which belongs to the person who runs the trial.
        found: dict[str, Any] = pickle.loads(stream, buffers=views)  # noqa: S301
        return found


def pack(
    home: Path, names: Mapping[str, Any], modules: Mapping[str, Path], labels: Iterable[str] = ()
) -> Shipment:
    """Write variables and local modules into a folder below `home`; the same content only once.

    Parameters
    ----------
    home : Path
    names : mapping of str to Any
        The cell's free variables. Functions and classes of the notebook go along by value.
    modules : mapping of str to Path
        Modules beside the notebook by their dotted names, and their files.
    labels : iterable of str
        What else makes this shipment different from others of the same values.

    Raises
    ------
    Invalid
        A variable can't be sent to another process; it is named.
    Unavailable
        The folder can't be written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=".packing-", dir=home))
    except OSError as error:
        raise _unwritable(home, error) from None
    try:
        shipment = _write(half, names, modules, labels)
        place = home / shipment.digest[:32]
        if not place.is_dir():
            try:
                half.rename(place)
            except OSError:
                if not place.is_dir():  # unless somebody else has packed the same meanwhile
                    raise
        return Shipment(place, shipment.digest, shipment.size, shipment.names)
    except OSError as error:
        raise _unwritable(home, error) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _write(
    folder: Path, names: Mapping[str, Any], modules: Mapping[str, Path], labels: Iterable[str]
) -> Shipment:
    digest = hashlib.sha256("\0".join([sys.version, *labels]).encode())
    places: list[tuple[int, int]] = []
    with (folder / _BUFFERS).open("wb") as file:

        def keep(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < _SMALL:
                return True  # within the stream
            start = -(-file.tell() // _ALIGN) * _ALIGN
            file.write(b"\0" * (start - file.tell()))
            file.write(raw)
            digest.update(raw)
            places.append((start, raw.nbytes))
            return False

        stream = io.BytesIO()
        pickler = _Pickler(stream, buffer_callback=keep)
        try:
            pickler.dump(dict(names))
        except OSError:
            raise  # the disk's, and none of the values'
        except Exception as error:
            raise _named(names, error) from error
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    content = stream.getvalue()
    digest.update(content)
    (folder / _VALUES).write_bytes(content)
    # Values may be of modules that the cell itself never names.
    for name, source in sorted((files_of(pickler.modules) | dict(modules)).items()):
        text = source.read_bytes()
        digest.update(name.encode() + text)
        relative = Path(*name.split("."))
        package = source.name == "__init__.py"
        target = folder / _MODULES / (relative / source.name if package else relative)
        target = target if package else target.with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
        size += len(text)
    found = Shipment(folder, digest.hexdigest(), size + len(content), tuple(sorted(names)))
    index = {
        "digest": found.digest,
        "size": found.size,
        "names": found.names,
        "buffers": places,
        "python": sys.version.split()[0],
    }
    (folder / _INDEX).write_text(json.dumps(index), "utf-8")
    return found


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, and whatever is large out of the stream; it notes whose code it met."""

    def __init__(self, file: io.BytesIO, buffer_callback: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.modules: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if isinstance(obj, type | types.FunctionType | types.ModuleType):
            owner = obj.__name__ if kind is types.ModuleType else obj.__module__
            self.modules.add(str(owner))
        if kind.__module__.startswith("polars") and kind.__name__ in {"DataFrame", "Series"}:
            return _polars_from, (getattr(obj, "name", ""), obj.to_arrow())
        if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            flags = obj.flags
            if not (flags.c_contiguous or flags.f_contiguous) and obj.nbytes > _SMALL:
                import numpy as np

                # A view with gaps would be copied into the stream, and from there by each trial.
                return np.ascontiguousarray(obj).__reduce_ex__(5)
        return super().reducer_override(obj)


def _polars_from(name: str, table: Any) -> Any:
    import polars as pl

    found = pl.from_arrow(table)
    return found.alias(name) if isinstance(found, pl.Series) else found


def _named(names: Mapping[str, Any], error: Exception) -> MLOpsError:
    """Which variable can't be sent, and what within it."""
    for name, value in names.items():
        try:
            _Pickler(io.BytesIO(), buffer_callback=_nowhere).dump(value)
        except Exception as one:
            kind = type(value).__name__
            return Invalid(
                f"the variable {name!r} can't be sent to other processes",
                f"it is a {kind}: {_reason(one)}",
                f"make it inside the cell, or leave {name!r} out of it",
                code="E-EXPERIMENT-011",
            )
    return Invalid(
        "the cell's variables can't be sent to other processes",
        _reason(error),
        "make them inside the cell",
        code="E-EXPERIMENT-012",
    )


def _nowhere(_: pickle.PickleBuffer) -> bool:
    return False


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _unwritable(home: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the experiment's variables can't be written to {home}",
        error.strerror or str(error),
        "make room there, or give the workspace another place",
        code="E-EXPERIMENT-013",
    )
