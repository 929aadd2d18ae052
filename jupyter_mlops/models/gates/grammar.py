"""The language of gates: what is measured, what it is held against, how sure one must be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedEOF, VisitError

from jupyter_mlops.workspace import Invalid, MLOpsError, closest

__all__ = ["Bound", "Comparison", "Flag", "Gate", "Quantity", "parse"]

Operator = Literal["<", "<=", ">", ">="]

_GRAMMAR = r"""
start: (gate _SEPARATOR?)+
gate: [NAME ":"] (comparison | flag)
flag: NAME ["by" NAME]
comparison: quantity OPERATOR bound [options]
quantity: NAME                                       -> metric
        | NAME "." NAME                              -> member
        | NAME "." NAME "(" NAME ["," "by" "=" (NAME | STRING)] ")"   -> sliced
bound: NUMBER [UNIT]                                  -> number
     | SIGN NUMBER [UNIT]                             -> signed
     | NAME "." NAME ["*" NUMBER] [SIGN NUMBER]    -> relative
options: "(" option ("," option)* CLOSING
CLOSING: ")"
option: PERCENT                                      -> level
      | "paired" "by" (NAME | STRING) ("and" (NAME | STRING))*   -> paired
NAME: /[A-Za-z_][A-Za-z0-9_]*/
STRING: /"[^"]+"/ | /'[^']+'/
OPERATOR: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
PERCENT.2: /\d+(\.\d+)?%/
NUMBER.2: /(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?!%)/
UNIT.3: /(?<=[\d.])(ms|us|s)\b/
_SEPARATOR: /[;\n]+/
%ignore /[ \t\r]+/
"""
_FLAGS = ("contract", "verified", "approved")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_EXAMPLES = "such as `auc > 0.8` or `log_loss < champion.log_loss - 0.002 (95%, paired by day)`"


@dataclass(frozen=True)
class Quantity:
    """What is measured of the version.

    Attributes
    ----------
    kind : {"metric", "slices", "latency"}
    name : str
        The metric; of latency the percentile, such as ``p99``.
    pick : str
        Of slices: ``min`` or ``max``.
    by : str or None
        Of slices: the column; None for all with few values.
    """

    kind: Literal["metric", "slices", "latency"]
    name: str
    pick: str = ""
    by: str | None = None

    def __str__(self) -> str:
        if self.kind == "slices":
            column = f", by={self.by}" if self.by else ""
            return f"slices.{self.pick}({self.name}{column})"
        return f"latency.{self.name}" if self.kind == "latency" else self.name


@dataclass(frozen=True)
class Bound:
    """``factor`` times a metric of the version at an alias, plus `offset`; or `offset` alone.

    The offset of a latency is in seconds.
    """

    offset: float
    alias: str | None = None
    metric: str = ""
    factor: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """A quantity held against a bound.

    Attributes
    ----------
    level : float or None
        The whole two-sided interval of that confidence must lie on the right side.
    by : tuple of str
        Columns whose values form groups of rows that aren't independent inside.
    """

    quantity: Quantity
    operator: Operator
    bound: Bound
    level: float | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flag:
    """Something that has been done: a contract, a reproduction, an approval."""

    kind: Literal["contract", "verified", "approved"]
    by_other: bool = False


@dataclass(frozen=True)
class Gate:
    """One gate: its name, how it was written, and what that means."""

    name: str
    text: str
    means: Comparison | Flag


def parse(text: str, metrics: Collection[str], aliases: Collection[str] = ()) -> list[Gate]:
    """Read gates, one after another; ``name:`` before one names it.

    Parameters
    ----------
    text : str
    metrics : collection of str
        Names that stand for a metric of the model.
    aliases : collection of str
        The model's; ``champion`` is always one.

    Raises
    ------
    Invalid
        Something is no gate; the error shows where, with the closest known name.

    Examples
    --------
    >>> [gate.name for gate in parse("auc > 0.8 contract", ["auc"])]
    ['auc', 'contract']
    >>> parse("auc > champion.auc + 0.01 (95%)", ["auc"])[0].means.level
    0.95
    """
    reader = _Reader(text, metrics, {"champion", *aliases})
    try:
        gates: list[Gate] = reader.transform(_parser().parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, MLOpsError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise reader.unexpected(error) from None
    return _named(gates)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _named(gates: Sequence[Gate]) -> list[Gate]:
    """Give each gate without a name one of its own, and refuse a name given twice."""
    given = [gate.name for gate in gates if gate.name]
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice:
        raise Invalid(
            f"two gates are called {twice!r}", fix="give each its own name", code="E-GATE-005"
        )
    taken, named = set(given), []
    for gate in gates:
        name = gate.name
        if not name:
            plain = gate.means.kind if isinstance(gate.means, Flag) else str(gate.means.quantity)
            name, count = plain, 1
            while name in taken:
                count += 1
                name = f"{plain} ({count})"
            taken.add(name)
        named.append(Gate(name, gate.text, gate.means))
    return named


class _Reader(Transformer[Token, Any]):
    """Makes gates of the parsed text and checks the names in it."""

    def __init__(self, text: str, metrics: Collection[str], aliases: Collection[str]) -> None:
        super().__init__()
        self.text, self.metrics, self.aliases = text, metrics, aliases

    def unexpected(self, error: UnexpectedInput) -> Invalid:
        at = getattr(error, "pos_in_stream", None)
        if isinstance(error, UnexpectedEOF) or at is None or at < 0 or at >= len(self.text):
            at = len(self.text)
        if isinstance(error, UnexpectedToken) and error.token.type == "$END":
            at = len(self.text)
        found = "it ends there" if at == len(self.text) else f"there stands {self._word(at)!r}"
        expected = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
        hint = ""
        if isinstance(error, UnexpectedToken | UnexpectedCharacters):
            words = {"BY": "by", "PAIRED": "paired", "AND": "and", "PERCENT": "95%"}
            hint = closest(self._word(at), [words[one] for one in expected if one in words])
        return self._wrong(at, "no gate is written so", found, hint or _EXAMPLES)

    def _word(self, at: int) -> str:
        return (self.text[at:].split() or [""])[0][:30]

    def _wrong(self, at: int, what: str, why: str, fix: str) -> Invalid:
        start, end = max(0, at - 30), min(len(self.text), at + 30)
        shown = f"{self.text[start:at]}▸{self.text[at:end]}".replace("\n", " ")
        dots = "…" if start else "", "…" if end < len(self.text) else ""
        return Invalid(
            f"{what}: {dots[0]}{shown}{dots[1]} (position {at + 1})", why, fix, code="E-GATE-001"
        )

    def _check(self, token: Token, known: Collection[str], noun: str) -> str:
        if str(token) not in known:
            raise self._wrong(
                token.start_pos or 0,
                f"{str(token)!r} is no {noun}",
                f"there are {', '.join(sorted(known))}" if known else "there is none",
                closest(str(token), known),
            )
        return str(token)

    def start(self, children: list[Any]) -> list[Gate]:
        return children

    def gate(self, children: list[Any]) -> Gate:
        name, (means, first, last) = children
        text = self.text[first:last]
        return Gate(str(name) if name else "", " ".join(text.split()), means)

    def flag(self, children: list[Any]) -> Any:
        word, by = children
        kind: Any = self._check(word, [*_FLAGS, *self.metrics], "gate")
        if kind not in _FLAGS:
            raise self._wrong(
                word.end_pos or 0,
                f"{kind} is held against nothing",
                "a metric needs a bound",
                _EXAMPLES,
            )
        if by is not None:
            self._check(by, ["other"], "approver")
            if kind != "approved":
                raise self._wrong(by.start_pos or 0, f"{kind} is by nobody", "", "write `approved`")
        last = (by or word).end_pos
        return Flag(kind, by is not None), word.start_pos, last

    def metric(self, children: list[Any]) -> Any:
        name = children[0]
        return Quantity("metric", self._check(name, self.metrics, "metric")), name.start_pos

    def member(self, children: list[Any]) -> Any:
        head, tail = children
        self._check(head, ["latency", "slices"], "quantity of the version")
        if head == "slices":
            end = tail.end_pos or 0
            raise self._wrong(end, "slices need a metric", "", "write `slices.min(auc)`")
        percent = str(tail)[1:]
        if tail[0] != "p" or not percent.isdecimal() or not 0 < int(percent) < 100:
            raise self._wrong(
                tail.start_pos or 0,
                f"{str(tail)!r} is no percentile",
                "",
                closest(str(tail), ["p50", "p90", "p95", "p99"]) or "write `latency.p99 < 20ms`",
            )
        return Quantity("latency", str(tail)), head.start_pos

    def sliced(self, children: list[Any]) -> Any:
        head, pick, metric, by = children
        self._check(head, ["slices"], "quantity of the version")
        self._check(pick, ["min", "max"], "choice among slices")
        name = self._check(metric, self.metrics, "metric")
        return Quantity("slices", name, str(pick), _plain(by) if by else None), head.start_pos

    def number(self, children: list[Any]) -> Any:
        number, unit = children
        return Bound(float(number) * _SECONDS[unit or "s"]), unit, (unit or number).end_pos

    def signed(self, children: list[Any]) -> Any:
        bound, unit, end = self.number(children[1:])
        return (Bound(-bound.offset) if children[0] == "-" else bound), unit, end

    def relative(self, children: list[Any]) -> Any:
        alias, metric, factor, sign, number = children
        name = self._check(alias, self.aliases, "alias of the model")
        of = self._check(metric, self.metrics, "metric")
        offset = float(number or 0) * (-1 if sign == "-" else 1)
        end = (number or factor or metric).end_pos
        return Bound(offset, name, of, float(factor or 1)), None, end

    def level(self, children: list[Any]) -> Any:
        level = float(children[0][:-1]) / 100
        if not 0.5 <= level < 1:
            raise self._wrong(
                children[0].start_pos or 0,
                f"{children[0]} is no confidence",
                "it lies between 50% and 100%",
                "write (95%)",
            )
        return level

    def paired(self, children: list[Any]) -> Any:
        return tuple(_plain(one) for one in children if one is not None)

    def options(self, children: list[Any]) -> Any:
        level: float | None = None
        by: tuple[str, ...] = ()
        for one in children[:-1]:
            if isinstance(one, tuple):
                by = one
            else:
                level = one
        return level, by, children[-1].end_pos

    def comparison(self, children: list[Any]) -> Any:
        (quantity, first), operator, (bound, unit, last), options = children
        level, by, last = options or (None, (), last)
        if (quantity.kind == "latency") != (unit is not None):
            raise self._wrong(
                first,
                "a latency is held against a time" if unit is None else "only a latency is a time",
                "",
                "write `latency.p99 < 20ms`",
            )
        if bound.alias and (quantity.kind != "metric" or quantity.name != bound.metric):
            raise self._wrong(
                first,
                f"{quantity} can't be held against {bound.alias}.{bound.metric}",
                "both sides must be the same metric",
                f"write `{quantity.name} < {bound.alias}.{quantity.name}`",
            )
        return Comparison(quantity, str(operator), bound, level, by), first, last  # type: ignore[arg-type]


def _plain(token: Token) -> str:
    text = str(token)
    return text[1:-1] if text[0] in "\"'" else text
