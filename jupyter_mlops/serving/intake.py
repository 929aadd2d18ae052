"""Turn the columns of a request into typed arrays, as the model's signature asks."""

from __future__ import annotations

from array import array
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from jupyter_mlops.serving.fields import Array, Field, take_times
from jupyter_mlops.serving.refusals import Refusal, closest, quoted

if TYPE_CHECKING:
    from jupyter_mlops.serving.modelfile import ModelFile

_PLAIN = frozenset({float, int, type(None)})


@dataclass(frozen=True)
class Rows:
    """Checked rows of one request.

    Attributes
    ----------
    count : int
        How many rows.
    inputs : dict of str to array, each of shape (count,)
        The model's columns in the signature's order.
    keys : array of str or None, shape (count,), optional
        The business key of each row, when the endpoint has one.
    times : array of datetime64[us], shape (count,), optional
        When the thing predicted happened, when the endpoint has a time column.
    ignored : tuple of str
        Columns that were sent and that nobody asked for.
    block : array of float64, shape (columns, count), optional
        The same inputs in one piece, where all of them are doubles; `inputs` are its rows.
    params : dict, optional
        The parameters that the request sets, of those in the signature.
    absent : tuple of str
        Optional columns that weren't sent.
    apart : str
        Requests are predicted together with those alone that have the same.
    caller : str
        Who asks, as far as the request says it.
    """

    count: int
    inputs: dict[str, Array]
    keys: Array | None = None
    times: Array | None = None
    ignored: tuple[str, ...] = ()
    block: Array | None = None
    params: dict[str, Any] | None = None
    absent: tuple[str, ...] = ()
    apart: str = ""
    caller: str = ""

    def only(self, kept: Array) -> Rows:
        """Return the rows where `kept`, booleans of shape (count,), is true."""
        return Rows(
            int(np.count_nonzero(kept)),
            {name: column[kept] for name, column in self.inputs.items()},
            None if self.keys is None else self.keys[kept],
            None if self.times is None else self.times[kept],
            self.ignored,
            caller=self.caller,
        )


class Intake:
    """Checks requests against a signature.

    Parameters
    ----------
    fields : sequence of Field
        The model's columns.
    tensor : bool
        Rows are unnamed lists.
    key, time : str, optional
        Columns that are logged as business key and event time; not given to the model unless
        the signature names them too.
    max_rows : int
        Rows a request may hold.
    unnamed : bool
        Rows are the values of the one field.
    params : sequence of str
        Parameters that a request may set.
    exact : bool
        The model is asked as MLflow asks it: what a request leaves out matters.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        tensor: bool = False,
        key: str | None = None,
        time: str | None = None,
        max_rows: int = 50_000,
        unnamed: bool = False,
        params: Sequence[str] = (),
        exact: bool = False,
    ) -> None:
        self.fields = tuple(fields)
        self.tensor = tensor
        self.unnamed = unnamed
        self.params = tuple(params)
        self.exact = exact
        self.key = key
        self.time = time
        self.max_rows = max_rows
        self.names = tuple(field.name for field in self.fields)
        #: The same as a list, as requests have it that name the columns in this order.
        self.listed = list(self.names)
        self._doubles = all(field.type.name == "double" for field in self.fields)
        #: Whether doubles are all that a request has to hold.
        self.plain = self._doubles and not key and not time
        self.known = frozenset(self.names) | {n for n in (key, time) if n}

    @classmethod
    def of(cls, file: ModelFile, **more: Any) -> Intake:
        """The intake of a model; `more` as for `Intake`."""
        return cls(
            file.fields,
            tensor=file.tensor,
            unnamed=file.unnamed,
            params=file.params,
            exact=file.way.exact,
            **more,
        )

    def limit(self, count: int) -> None:
        """Refuse more rows than a request may hold, or none."""
        if count > self.max_rows:
            raise Refusal(
                413,
                "E-SERVE-102",
                f"the request holds {count:,} rows, the limit is {self.max_rows:,}: "
                "send them in several requests",
            )
        if count == 0:
            raise Refusal(400, "E-SERVE-103", "the request holds no rows")

    def columns(self, table: Mapping[str, Sequence[Any]], count: int) -> Rows:
        """Check named columns of JSON values, each of length `count`."""
        self.limit(count)
        block = self._block(table, count) if self._doubles else None
        inputs = {} if block is None else dict(zip(self.names, block, strict=True))
        for field in () if block is not None else self.fields:
            inputs[field.name] = self._take(field, table, count)
        return self._rows(table, count, inputs, block, table)

    def typed(
        self, ready: Mapping[str, Array], table: Mapping[str, Sequence[Any]], count: int
    ) -> Rows:
        """Take columns that have their types already, and check the rest as `columns` does.

        Parameters
        ----------
        ready : mapping of str to array, each of shape (count,)
            Columns of the signature.
        table : mapping of str to sequence, each of length `count`
            All others.
        count : int
        """
        self.limit(count)
        if self._doubles and len(ready) == len(self.names):
            block = np.empty((len(self.names), count))
            for row, name in zip(block, self.names, strict=True):
                row[:] = ready[name]
            inputs: dict[str, Array] = dict(zip(self.names, block, strict=True))
        else:
            block = None
            inputs = {}
            for field in self.fields:
                given = ready.get(field.name)
                inputs[field.name] = self._take(field, table, count) if given is None else given
        return self._rows(table, count, inputs, block, {*ready, *table})

    def _take(self, field: Field, table: Mapping[str, Sequence[Any]], count: int) -> Array:
        values = table.get(field.name)
        if values is not None:
            return field.take(values)
        if field.required:
            raise self.missing(field.name, list(table))
        return field.absent(count)

    def _rows(
        self,
        table: Mapping[str, Sequence[Any]],
        count: int,
        inputs: dict[str, Array],
        block: Array | None,
        sent: Container[str],
    ) -> Rows:
        rows = Rows(
            count,
            inputs,
            self._keys(table.get(self.key), table) if self.key else None,
            self._times(table.get(self.time), table) if self.time else None,
            tuple(name for name in table if name not in self.known),
            block,
        )
        return self.marked(rows, sent) if self.exact else rows

    def marked(self, rows: Rows, sent: Container[str]) -> Rows:
        """Say what keeps rows apart from those of other requests: what was left out, shapes."""
        absent = tuple(name for name in self.names if name not in sent)
        shapes = {n: v.shape[1:] for n, v in rows.inputs.items() if v.ndim > 1}
        told = [absent, shapes] if absent or shapes else ""
        return replace(rows, absent=absent, apart=repr(told) if told else "")

    def with_params(self, rows: Rows, params: Mapping[str, Any] | None) -> Rows:
        """Add the parameters of a request; those that nobody knows are left out."""
        known = {name: params[name] for name in self.params if name in params} if params else {}
        if not known:
            return rows
        try:
            told = orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode()
        except TypeError:
            raise Refusal(
                400,
                "E-SERVE-117",
                "a parameter is nested too deep, or holds an integer of more than 64 bits",
            ) from None
        return replace(rows, params=known, apart=f"{rows.apart} {told}")

    def _block(self, table: Mapping[str, Sequence[Any]], count: int) -> Array | None:
        """All columns at once, where that goes without a word; what is wrong is told by each."""
        try:
            values = list(chain.from_iterable([table[name] for name in self.names]))
            doubles = _doubles(values)
            return None if doubles is None else doubles.reshape(len(self.names), count)
        except (KeyError, ValueError):
            return None

    def split(
        self, names: Sequence[str], rows: Sequence[Any], *, booleans: bool = True
    ) -> Rows | None:
        """Take rows that are lists at once, where all of them are doubles and nothing else comes.

        Parameters
        ----------
        names : sequence of str
            Of the values in each row.
        rows : sequence of list
        booleans : bool
            Whether there may be booleans among the values.

        Returns
        -------
        Rows or None
            None where that does not go: something else has to look, or to say what is wrong.
        """
        ordered = names == self.listed
        if not self.plain or not (ordered or set(names) == self.known):
            return None
        self.limit(len(rows))
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {len(names)}:
            return None
        values = rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))
        doubles = _doubles(values, booleans=booleans)
        if doubles is None:
            return None
        if ordered:
            return self.block(np.ascontiguousarray(doubles.reshape(len(rows), len(names)).T))
        block = np.empty((len(names), len(rows)))
        places = {name: place for place, name in enumerate(names)}
        np.take(
            doubles.reshape(len(rows), len(names)).T,
            [places[name] for name in self.names],
            axis=0,
            out=block,
        )
        return self.block(block)

    def block(self, block: Array) -> Rows:
        """Take all columns in one piece, shape (columns, n), where nothing else is to come."""
        self.limit(block.shape[1])
        return Rows(block.shape[1], dict(zip(self.names, block, strict=True)), block=block)

    def missing(self, name: str, sent: Sequence[str]) -> Refusal:
        """Return the refusal of a request that lacks the column `name`."""
        role = {self.key: " (the endpoint's key)", self.time: " (the endpoint's time)"}
        spare = [n for n in sent if n not in self.known]
        return Refusal(
            400,
            "E-SERVE-104",
            f"column {quoted(name)}{'' if name in self.names else role.get(name, '')} is missing"
            + closest(name, spare),
        )

    def _keys(self, values: Sequence[Any] | None, table: Mapping[str, Any]) -> Array:
        if values is None:
            raise self.missing(str(self.key), list(table))
        out = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            if value is None or type(value) is str:
                out[row] = value
            elif type(value) is int:
                out[row] = str(value)
            else:
                raise Refusal(
                    400,
                    "E-SERVE-110",
                    f"row {row}, column {quoted(self.key)}: a key is a string or an integer",
                )
        return out

    def _times(self, values: Sequence[Any] | None, table: Mapping[str, Any]) -> Array:
        if values is None:
            raise self.missing(str(self.time), list(table))
        if isinstance(values, np.ndarray):
            return values
        return take_times(values, str(self.time))

    def matrix(self, rows: Sequence[Any]) -> Rows:
        """Check rows that are plain lists: the only form a tensor model knows."""
        self.limit(len(rows))
        if self.unnamed:
            return self.columns({self.names[0]: self._values(rows)}, len(rows))
        if not self.tensor:
            raise Refusal(
                400,
                "E-SERVE-105",
                "rows are unnamed lists and the model's columns have names: send "
                "`dataframe_split`, `dataframe_records`, or `inputs` as an object of columns",
            )
        width = len(self.fields)
        for row, values in enumerate(rows):
            if type(values) is not list or len(values) != width:
                found = f"{len(values)} values" if type(values) is list else "no list"
                raise Refusal(
                    400, "E-SERVE-106", f"row {row}: expected {width} values, found {found}"
                )
        return self.columns(dict(zip(self.names, zip(*rows, strict=True), strict=True)), len(rows))

    def _values(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Rows of one plain value may be lists of it, as a data frame of one column has them."""
        plain = not self.fields[0].type.shape and self.fields[0].type.name != "nested"
        if plain and all(type(row) is list and len(row) == 1 for row in rows):
            return [row[0] for row in rows]
        return rows


def _doubles(values: list[Any], *, booleans: bool = True) -> Array | None:
    """Return JSON values as doubles, None as NaN; nothing where others are among them."""
    if not booleans:
        try:
            # Takes numbers alone, and need not be shown each type first.
            return np.frombuffer(array("d", values))
        except (TypeError, OverflowError):
            pass  # None, or what is refused below
    # NumPy takes a boolean for a number, and so would Arrow among doubles: types are looked at.
    if not _PLAIN.issuperset(map(type, values)):
        return None
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return None


def merge_blocks(parts: Sequence[Rows]) -> Array | None:
    """Return the columns of several requests in one piece, where each has them so."""
    blocks = [part.block for part in parts if part.block is not None]
    if len(blocks) != len(parts):
        return None
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)


def merge(parts: Sequence[Rows]) -> dict[str, Array]:
    """Return the model's columns of several requests, one request after the other."""
    if len(parts) == 1:
        return parts[0].inputs
    return {name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs}
