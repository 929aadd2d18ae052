"""What messages hold: JSON objects, text or bytes, with types that hold for every message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import orjson

from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Payloads", "Shape", "parse"]

#: Whole numbers from here on are changed by becoming floats.
_EXACT: Final = 2**53
_INT64: Final = 2**63
_LONG: Final = "integer beyond 2^53"
_HUGE: Final = "integer beyond 64 bits"
_DEEPEST: Final = 16
_MOST_FIELDS: Final = 20_000
_LONG_NUMBER: Final = re.compile(rb"\d{19}")


class _Inexact(Exception):
    """A number may have been an integer that a float can't hold."""


def parse(payload: bytes, exact: bool = False) -> dict[str, Any] | None:
    """The JSON object in a payload; None when there is none.

    Parameters
    ----------
    payload : bytes
    exact : bool
        Whether integers of more than 64 bits keep all their digits; that takes longer.

    Examples
    --------
    >>> parse(b'{"a": 1}'), parse(b"[1]"), parse(b"{")
    ({'a': 1}, None, None)
    """
    if _framed(payload) and payload[5:6] == b"{":
        payload = payload[5:]  # a schema registry's number before JSON
    try:
        if exact and _LONG_NUMBER.search(payload):
            found = json.loads(payload, parse_constant=_refuse)
        else:
            found = orjson.loads(payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _framed(payload: bytes) -> bool:
    """Whether a schema registry's client wrote it: a zero, four bytes of an id, the rest."""
    return len(payload) > 5 and payload[0] == 0


class Shape:
    """Every type that was seen in one place of many JSON values.

    Examples
    --------
    >>> shape = Shape()
    >>> for value in ({"a": 1}, {"a": 2.5, "b": "x"}):
    ...     shape.see(value)
    >>> str(shape.arrow())
    'struct<a: double, b: string>'
    """

    __slots__ = ("fields", "item", "kinds")

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.fields: dict[str, Shape] = {}
        self.item: Shape | None = None

    def see(self, value: Any, exact: bool = True, depth: int = 0) -> None:
        """Take note of a value."""
        kind = type(value)
        if kind is str:
            self.kinds.add("text")
        elif kind is int:
            size = -value if value < 0 else value
            self.kinds.add("integer" if size <= _EXACT else _LONG if size < _INT64 else _HUGE)
        elif kind is float:
            if not exact and not -_INT64 < value < _INT64:
                raise _Inexact
            self.kinds.add("float")
        elif kind is bool:
            self.kinds.add("boolean")
        elif kind is dict:
            self.kinds.add("object" if depth < _DEEPEST else "too deep")
            if depth < _DEEPEST:
                for name, inner in value.items():
                    shape = self.fields.get(name)
                    if shape is None:
                        shape = self.fields[name] = Shape()
                    if inner is not None:
                        shape.see(inner, exact, depth + 1)
        elif kind is list:
            self.kinds.add("list" if depth < _DEEPEST else "too deep")
            self.item = self.item or Shape()
            if depth < _DEEPEST:
                for inner in value:
                    self.item.see(inner, exact, depth + 1)

    @property
    def size(self) -> int:
        """How many fields there are, those within others too."""
        inner = sum(shape.size for shape in self.fields.values())
        return len(self.fields) + inner + (self.item.size if self.item else 0)

    @property
    def mixed(self) -> bool:
        """Whether no type but text holds all of it."""
        kinds = self.kinds
        if len(kinds) <= 1:
            return bool(kinds & {_HUGE, "too deep"})
        return not (kinds <= {"integer", _LONG} or kinds <= {"integer", "float"})

    @property
    def plain(self) -> bool:
        """Whether values can be kept just as they are."""
        if self.mixed or (self.kinds == {"object"} and not self.fields):
            return False
        inner = [*self.fields.values(), *([self.item] if self.item else [])]
        return all(shape.plain for shape in inner)

    def arrow(self) -> pa.DataType:
        """The Arrow type that holds every value seen."""
        import pyarrow as pa

        if self.mixed or not self.kinds:
            return pa.string()
        if self.kinds <= {"integer", _LONG}:
            return pa.int64()
        if self.kinds <= {"integer", "float"}:
            return pa.float64()
        if self.kinds == {"boolean"}:
            return pa.bool_()
        if self.kinds == {"object"} and self.fields:
            return pa.struct([(name, shape.arrow()) for name, shape in self.fields.items()])
        if self.kinds == {"list"} and self.item is not None:
            return pa.list_(self.item.arrow())
        return pa.string()

    def fit(self, value: Any) -> Any:
        """The value as this shape's type takes it."""
        if value is None or (self.plain and self.kinds):
            return value
        if self.mixed or (not self.fields and self.item is None):
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            return {name: self.fields[name].fit(inner) for name, inner in value.items()}
        return [self.item.fit(inner) for inner in value] if self.item else value

    def told(self, name: str = "") -> dict[str, str]:
        """The places that became text because they mix types."""
        if self.mixed:
            return {name: " and ".join(sorted(self.kinds))}
        found: dict[str, str] = {}
        for field, shape in self.fields.items():
            found |= shape.told(f"{name}.{field}" if name else field)
        return found | (self.item.told(f"{name}[]") if self.item else {})


class Payloads:
    """What is known of a window's payloads, after all of them were looked at.

    Parameters
    ----------
    shown : str
        How the stream is called in messages.
    wanted : str, optional
        ``json``, ``text`` or ``bytes``, instead of finding out.
    """

    def __init__(self, shown: str, wanted: str | None = None) -> None:
        self.shown = shown
        self.wanted = wanted
        self.shape = Shape()
        self.shape.kinds.add("object")
        # orjson is fast and makes floats of integers of more than 64 bits; from the first number
        # that may be one on, Python's own parser reads messages with long numbers.
        self.exact = False
        self._filled = self._objects = self._framed = self._not_text = 0

    def see(self, payloads: Iterable[bytes | None]) -> None:
        """Look at some messages."""
        for payload in payloads:
            if payload is None:
                continue
            self._filled += 1
            found = self.parse(payload) if self.wanted in (None, "json") else None
            if found is not None:
                self._objects += 1
                self._note(payload, found)
                continue
            self._framed += _framed(payload) or payload.startswith(b"Obj\x01")
            try:
                payload.decode("utf-8")
            except UnicodeDecodeError:
                self._not_text += 1
        if self.shape.size > _MOST_FIELDS:
            raise Invalid(
                f"the messages of {self.shown} have more than {_MOST_FIELDS:,} different fields",
                "their names seem to be data",
                "add payload=text to the URI's options to take each message as one text",
                code="E-STREAM-020",
            )

    def parse(self, payload: bytes) -> dict[str, Any] | None:
        """The JSON object in a payload; None when there is none."""
        return parse(payload, self.exact)

    def _note(self, payload: bytes, found: dict[str, Any]) -> None:
        try:
            self.shape.see(found, self.exact)
        except _Inexact:
            self.exact = True
            self.shape.see(self.parse(payload))

    def kind(self) -> str:
        """What the messages are: json, text or bytes, as most of them are.

        Raises
        ------
        Invalid
            They are in a binary format that needs a schema, or none is as was wished.
        """
        if self.wanted == "json" and self._filled and not self._objects:
            raise Invalid(
                f"no message of {self.shown} is a JSON object",
                fix="leave payload=json out",
                code="E-STREAM-021",
            )
        if self.wanted:
            return self.wanted
        if self._objects * 2 >= self._filled > 0:
            return "json"
        if self._framed * 2 >= self._filled > 0:
            raise Invalid(
                f"the messages of {self.shown} are Avro or Protobuf",
                "such messages can't be read without their schema",
                "have them written as JSON, or add payload=bytes to the URI's options to take "
                "them undecoded",
                code="E-STREAM-022",
            )
        return "bytes" if self._not_text * 2 >= self._filled > 0 else "text"
