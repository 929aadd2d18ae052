"""Parquet and Arrow files, read where they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from jupyter_mlops.data.sources.files.partitions import Partitions
from jupyter_mlops.data.sources.files.schemas import fitted, one_schema
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.workspace.errors import Invalid, NotFound

__all__ = ["ArrowFiles", "ParquetFiles"]


class _Columnar(LazySource):
    """Files of one table that carry their own types, read where they are."""

    called: str

    def __init__(self, uri: str, paths: list[Path], root: Path | None = None) -> None:
        self.uri = uri
        self.paths = paths
        self.root = root
        below = [_below(path, root) for path in paths] if root else []
        self.partitions = Partitions(below)
        self._below = dict(zip(paths, below, strict=False))
        self.check_folders(uri, self.partitions)

    @staticmethod
    def check_folders(uri: str, partitions: Partitions) -> None:
        """Refuse files of which some lie in folders that are columns, and others don't."""
        odd = partitions.odd() if partitions else None
        if odd is not None:
            raise Invalid(
                f"the files of {uri} lie in different kinds of folders",
                f"others are in folders for {', '.join(partitions.schema)}, {odd} is not",
                "name the files of one table",
                code="E-DATA-038",
            )

    def scan(self) -> pl.LazyFrame:
        """The rows of all files, in the order of their names."""
        schemas = {path: self._read(path, self._schema) for path in self.paths}
        want = one_schema(self.uri, {self._called(path): s for path, s in schemas.items()})
        want = pl.Schema({**want, **self.partitions.schema})
        frames = []
        for paths in _runs(self.paths, schemas):
            have = pl.Schema({**schemas[paths[0]], **self.partitions.schema})
            frames.append(fitted(self._scan(paths), have, want))
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    @property
    def uniform(self) -> bool:
        """Whether each file by itself holds all columns, with the types of the whole."""
        schemas = [list(self._read(path, self._schema).items()) for path in self.paths]
        return not self.partitions and all(one == schemas[0] for one in schemas)

    @abstractmethod
    def _schema(self, path: Path) -> pl.Schema:
        """The columns of one file."""

    @abstractmethod
    def _scan(self, paths: list[Path]) -> pl.LazyFrame:
        """The rows of files with one schema, and their partition columns."""

    def _called(self, path: Path) -> str:
        return self._below.get(path) or path.name

    def _read(self, path: Path, read: Callable[[Path], pl.Schema]) -> pl.Schema:
        try:
            return read(path)
        except FileNotFoundError:
            raise NotFound(
                f"{self._called(path)} is gone",
                f"it was there when {self.uri} was opened",
                "read the files again when they are complete",
                code="E-DATA-039",
            ) from None
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Invalid(
                f"{self.uri} can't be read as {self.called}",
                f"{self._called(path)}: {str(error).strip().splitlines()[0]}",
                "check the files",
                code="E-DATA-028",
            ) from None


class ParquetFiles(_Columnar):
    """Parquet files of one table, read where they are.

    Parameters
    ----------
    uri : str
    paths : list of Path
    root : Path, optional
        Folders named ``column=value`` below it are columns.

    Raises
    ------
    Invalid
        A file is no Parquet, or the files have different columns.
    NotFound
        A file has gone since it was listed.
    """

    called = "Parquet"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.paths)

    def marks(self) -> list[dict[str, Any]]:
        """What the files are, to find out later whether they are still the same."""
        root = {"root": str(self.root.resolve())} if self.root and self.partitions else {}
        facts = [(path.resolve(), path.stat()) for path in self.paths]
        return [
            {"path": str(path), "size": fact.st_size, "changed": fact.st_mtime_ns, **root}
            for path, fact in facts
        ]

    def _schema(self, path: Path) -> pl.Schema:
        # Not `read_parquet_schema`: it takes the path for a pattern.
        return pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()

    def _scan(self, paths: list[Path]) -> pl.LazyFrame:
        if not self.partitions:
            return pl.scan_parquet(paths, glob=False, hive_partitioning=False)
        # Polars takes every `name=value` folder of a path for a column, also those above the root.
        above = Partitions([f"{self.root}/x"]).schema
        schema = {**dict.fromkeys(above, pl.String()), **self.partitions.schema}
        frame = pl.scan_parquet(paths, glob=False, hive_partitioning=True, hive_schema=schema)
        return frame.drop([name for name in above if name not in self.partitions.schema])


class ArrowFiles(_Columnar):
    """Arrow IPC (Feather) files of one table, read where they are.

    Parameters
    ----------
    uri : str
    paths : list of Path
    root : Path, optional
        Folders named ``column=value`` below it are columns.

    Raises
    ------
    Invalid
        A file is no Arrow file, or the files have different columns.
    NotFound
        A file has gone since it was listed.
    """

    called = "Arrow"

    def _schema(self, path: Path) -> pl.Schema:
        try:
            return pl.scan_ipc(path, glob=False, hive_partitioning=False).collect_schema()
        except pl.exceptions.PolarsError:
            if path.open("rb").read(4) == b"FEA1":
                raise Invalid(
                    f"{path.name} is in Feather's old format",
                    fix="write it again with pandas' to_feather or as Parquet",
                    code="E-DATA-028",
                ) from None
            return _stream(path).collect_schema()

    def _scan(self, paths: list[Path]) -> pl.LazyFrame:
        frames = []
        for path in paths:
            with path.open("rb") as file:
                random = file.read(6) == b"ARROW1"
            frame = (
                pl.scan_ipc(path, glob=False, hive_partitioning=False) if random else _stream(path)
            )
            values = self.partitions.values(self._below[path]) if self.partitions else {}
            types = self.partitions.schema
            frames.append(
                frame.with_columns(pl.lit(v, dtype=types[n]).alias(n) for n, v in values.items())
            )
        return frames[0] if len(frames) == 1 else pl.concat(frames)


def _stream(path: Path) -> pl.LazyFrame:
    """An IPC stream, as a socket carries it; it has no index to read parts by."""
    return pl.read_ipc_stream(path).lazy()


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _runs(paths: list[Path], schemas: dict[Path, pl.Schema]) -> list[list[Path]]:
    """Neighbours that have one schema, to be scanned together."""
    runs: list[list[Path]] = []
    for path in paths:
        last = schemas[runs[-1][0]] if runs else None
        if last is not None and list(last.items()) == list(schemas[path].items()):
            runs[-1].append(path)
        else:
            runs.append([path])
    return runs
