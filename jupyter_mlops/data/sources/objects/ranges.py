"""Parquet in object storage, of which only the needed bytes are fetched.

The footers say where each column of each row group is.  A scan fetches the columns that are
asked for, of the row groups whose statistics don't rule them out, some row groups ahead of the
one that is being decoded.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.partitions import Partitions
from jupyter_mlops.data.sources.files.schemas import fitted
from jupyter_mlops.data.sources.objects.stores import Object, Store
from jupyter_mlops.data.sources.objects.together import result_of, together, workers
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Footer", "RowGroups", "read_footers"]

_TAIL: Final = 64 << 10
_AHEAD: Final = 64 << 20
_WORKERS: Final = 4
_BATCH: Final = 131_072


@dataclass(frozen=True)
class Footer:
    """What the end of a Parquet object says."""

    found: Object
    metadata: pq.FileMetaData
    schema: pl.Schema


def read_footers(store: Store, objects: list[Object]) -> list[Footer]:
    """Fetch and read the ends of Parquet objects, several at a time.

    Raises
    ------
    Invalid
        One is no Parquet.
    """
    return together(store, min(16, len(objects)), lambda one: _footer(store, one), objects)


def _footer(store: Store, found: Object) -> Footer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = max(0, found.size - _TAIL)
    tail = _joined(store.read(found.path, [(start, found.size)])) if found.size else b""
    try:
        if tail[-4:] != b"PAR1":
            raise pa.ArrowInvalid("it doesn't end as Parquet does")
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > len(tail):
            start = max(0, found.size - length)
            tail = _joined(store.read(found.path, [(start, found.size)]))
        metadata = pq.read_metadata(pa.BufferReader(tail))
        empty = metadata.schema.to_arrow_schema().empty_table()
        frame: Any = pl.from_arrow(empty)
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise Invalid(
            f"{store.location.uri} can't be read as Parquet",
            f"{found.name}: {str(error).strip().splitlines()[0]}",
            "check the files",
            code="E-DATA-028",
        ) from None
    return Footer(found, metadata, frame.schema)


def _joined(parts: list[tuple[int, bytes]]) -> bytes:
    return b"".join(data for _, data in parts)


class _Parts(io.RawIOBase):
    """A file of which some parts are here; others are fetched when they are read after all."""

    def __init__(self, store: Store, found: Object, parts: list[tuple[int, bytes]]) -> None:
        self._store = store
        self._found = found
        self._parts = _contiguous(parts)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._found.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._found.size if size < 0 else min(self._at + size, self._found.size)
        start, self._at = self._at, end
        for first, data in self._parts:
            if first <= start and end <= first + len(data):
                return data[start - first : end - first]
        return _joined(self._store.read(self._found.path, [(start, end)])) if end > start else b""


def _contiguous(parts: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    runs: list[tuple[int, list[bytes]]] = []
    end = -1
    for start, data in parts:
        if start == end:
            runs[-1][1].append(data)
        else:
            runs.append((start, [data]))
        end = start + len(data)
    return [(start, b"".join(pieces)) for start, pieces in runs]


class RowGroups:
    """The row groups of Parquet objects, as frames.

    Parameters
    ----------
    store : Store
    footers : list of Footer
    schema : polars.Schema
        Of the whole, with the partition columns.
    partitions : Partitions
    below : dict of str to str
        Paths of the objects relative to the root.
    """

    def __init__(
        self,
        store: Store,
        footers: list[Footer],
        schema: pl.Schema,
        partitions: Partitions,
        below: dict[str, str],
    ) -> None:
        self.store = store
        self.footers = footers
        self.schema = schema
        self.partitions = partitions
        self.below = below

    def scan(
        self,
        columns: list[str] | None,
        predicate: pl.Expr | None,
        limit: int | None,
        size: int | None,
    ) -> Iterator[pl.DataFrame]:
        """Read what polars asks for; see `polars.io.plugins.register_io_source`."""
        wanted = list(self.schema) if columns is None else columns
        needed = dict.fromkeys(wanted)
        needed |= dict.fromkeys(predicate.meta.root_names() if predicate is not None else [])
        left = limit
        read: list[Object] = []
        # Whoever wants a few rows only is not served by fetching ahead.
        ahead = _AHEAD if limit is None else 0
        for footer, frame in self._fetched(list(needed), predicate, ahead):
            if footer.found not in read[-1:]:
                self._check_read(read)
                read.append(footer.found)
            if predicate is not None:
                frame = frame.filter(predicate)
            frame = frame.select(wanted)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            if frame.height:
                yield frame
            if left == 0:
                return
        self._check_read(read)

    def _check_read(self, read: list[Object]) -> None:
        # Rows of an old and a new content must not be mixed: one look when an object is done.
        if read:
            self.store.check(read[-1:])

    def _fetched(
        self, needed: list[str], predicate: pl.Expr | None, ahead: int
    ) -> Iterator[tuple[Footer, pl.DataFrame]]:
        waiting: deque[tuple[Footer, int, int, Future[list[tuple[int, bytes]]]]] = deque()
        groups = self._groups(predicate)
        with workers(self.store, _WORKERS) as pool:
            try:
                exhausted = False
                while True:
                    while not exhausted and (
                        not waiting
                        or (sum(w[2] for w in waiting) < ahead and len(waiting) < 2 * _WORKERS)
                    ):
                        following = next(groups, None)
                        if following is None:
                            exhausted = True
                            break
                        footer, group = following
                        ranges = _chunks(footer, group, needed)
                        cost = sum(end - start for start, end in ranges)
                        task = pool.submit(self.store.read, footer.found.path, ranges)
                        waiting.append((footer, group, cost, task))
                    if not waiting:
                        return
                    footer, group, _, task = waiting.popleft()
                    for frame in self._decoded(footer, group, needed, result_of(task)):
                        yield footer, frame
            finally:
                for *_, task in waiting:
                    task.cancel()

    def _groups(self, predicate: pl.Expr | None) -> Iterator[tuple[Footer, int]]:
        skips = _skips(predicate, self.schema)
        for footer in self.footers:
            constants = self._constants(footer)
            for group in range(footer.metadata.num_row_groups):
                if not footer.metadata.row_group(group).num_rows:
                    continue
                if skips is None or not _ruled_out(skips, footer, group, constants, self.schema):
                    yield footer, group

    def _constants(self, footer: Footer) -> dict[str, Any]:
        if not self.partitions:
            return {}
        return self.partitions.values(self.below[footer.found.path])

    def _decoded(
        self, footer: Footer, group: int, needed: list[str], parts: list[tuple[int, bytes]]
    ) -> Iterator[pl.DataFrame]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        constants = self._constants(footer)
        stored = [name for name in needed if name in footer.schema and name not in constants]
        want = pl.Schema({name: self.schema[name] for name in needed})
        added = [pl.lit(constants[n], dtype=want[n]).alias(n) for n in needed if n in constants]
        if not stored:
            rows = footer.metadata.row_group(group).num_rows
            yield (
                pl.select(pl.repeat(None, rows).alias("")).select(
                    *(pl.repeat(constants[n], rows, dtype=want[n]).alias(n) for n in needed)
                )
                if needed
                else pl.DataFrame(height=rows)
            )
            return
        source = pa.PythonFile(_Parts(self.store, footer.found, parts), mode="r")
        try:
            file = pq.ParquetFile(source, metadata=footer.metadata, pre_buffer=False)
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=stored):
                frame: Any = pl.from_arrow(batch)
                have = pl.Schema({n: frame.schema[n] for n in stored})
                whole = frame.lazy().with_columns(added).select(needed)
                full = pl.Schema({n: have.get(n, want[n]) for n in needed})
                yield fitted(whole, full, want).collect()
        except (pa.ArrowException, OSError) as error:
            # Most likely these are bytes of another content than the footer's.
            self.store.check([footer.found])
            raise Invalid(
                f"{self.store.location.uri} can't be read as Parquet",
                f"{footer.found.name}: {str(error).strip().splitlines()[0]}",
                "check the files",
                code="E-DATA-028",
            ) from None


def _chunks(footer: Footer, group: int, needed: list[str]) -> list[tuple[int, int]]:
    """Where the columns of a row group are."""
    row_group = footer.metadata.row_group(group)
    ranges = []
    for place in range(row_group.num_columns):
        chunk = row_group.column(place)
        path = chunk.path_in_schema
        if any(path == name or path.startswith(f"{name}.") for name in needed):
            begins = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                begins = min(begins, chunk.dictionary_page_offset)
            ranges.append((begins, begins + chunk.total_compressed_size))
    return ranges


def _skips(predicate: pl.Expr | None, schema: pl.Schema) -> pl.Expr | None:
    """An expression over statistics that is true for row groups without a fitting row."""
    # Polars' own readers use it; without it all row groups are read, and then filtered.
    make = getattr(predicate, "_skip_batch_predicate", None)
    return make(schema) if make is not None else None


def _ruled_out(
    skips: pl.Expr, footer: Footer, group: int, constants: dict[str, Any], schema: pl.Schema
) -> bool:
    row_group = footer.metadata.row_group(group)
    bounds: dict[str, tuple[Any, Any, int | None]]
    bounds = {name: (value, value, 0) for name, value in constants.items() if value is not None}
    for place in range(row_group.num_columns):
        chunk = row_group.column(place)
        facts = chunk.statistics if chunk.is_stats_set else None
        name = chunk.path_in_schema
        # Bounds leave NaN out, which polars takes for the largest number of all.
        if facts is None or not facts.has_min_max or schema.get(name, pl.Float64).is_float():
            continue
        bounds[name] = (facts.min, facts.max, facts.null_count if facts.has_null_count else None)
    known: dict[str, pl.Series] = {"len": pl.Series([row_group.num_rows], dtype=pl.UInt32)}
    for name in skips.meta.root_names():
        column, _, part = name.rpartition("_")
        if name == "len" or part not in {"min", "max", "nc"}:
            continue
        found = bounds.get(column, (None, None, None))[("min", "max", "nc").index(part)]
        dtype = pl.UInt32() if part == "nc" else schema[column]
        known[name] = pl.Series([found], dtype=dtype, strict=False)
    return pl.DataFrame(known).select(skips).item() is True
