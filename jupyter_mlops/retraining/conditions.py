"""The language of conditions: what must have happened before a model is trained again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark.exceptions import UnexpectedEOF, VisitError

from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.workspace import Invalid, MLOpsError, closest

__all__ = ["Both", "Comparison", "Condition", "Drifted", "Either", "Side", "parse"]

Operator = Literal["<", "<=", ">", ">="]
REFERENCES = ("champion_at_promotion", "validation")
COUNTS = ("rows", "drifted")

_GRAMMAR = r"""
start: either
either: both (_OR both)*
both: one (_AND one)*
?one: "(" either ")" | comparison | DRIFT
comparison: NAME OPERATOR bound [level]
bound: NUMBER                                        -> number
     | SIGN NUMBER                                   -> signed
     | SPAN                                          -> span
     | NAME "." NAME ["*" NUMBER] [SIGN NUMBER]      -> relative
level: "(" PERCENT ")"
_OR.3: /or\b/
_AND.3: /and\b/
DRIFT.2: /drift\b/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
OPERATOR: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
PERCENT.2: /\d+(\.\d+)?%/
SPAN.3: /\d+(\.\d+)?\s*(s|min|h|d|w)\b/
NUMBER.2: /(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?!%)/
%ignore /\s+/
"""
_EXAMPLES = "such as `loss > champion_at_promotion.loss + 0.01 (95%)`, `drift` or `age > 30d`"


@dataclass(frozen=True)
class Side:
    """What a metric is held against: ``factor`` times it elsewhere, plus `offset`.

    Attributes
    ----------
    of : str or None
        ``champion_at_promotion`` or ``validation``; None for `offset` alone.
    """

    offset: float
    of: str | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class Comparison:
    """A quantity held against a bound.

    Attributes
    ----------
    quantity : str
        ``loss`` or a metric, ``rows`` (new ones with truth), ``drifted`` (features), or ``age``
        (of the champion's promotion, in seconds).
    level : float or None
        The whole interval of that confidence must lie on the right side.
    """

    text: str
    quantity: str
    operator: Operator
    side: Side
    level: float | None = None


@dataclass(frozen=True)
class Drifted:
    """A drift check of the window says that inputs moved."""

    text: str = "drift"


@dataclass(frozen=True)
class Both:
    """All of them."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    """At least one of them."""

    parts: tuple[Condition, ...]


Condition = Comparison | Drifted | Both | Either


def parse(text: str, metrics: Collection[str]) -> Condition:
    """Read a condition.

    Parameters
    ----------
    text : str
        Comparisons joined by ``and`` and ``or``, in parentheses where needed.
    metrics : collection of str
        Metrics that the model's task has.

    Raises
    ------
    Invalid
        ``E-RETRAIN-001``: it can't be read; the error shows where.

    Examples
    --------
    >>> parse("drift and rows > 1000", ["auc"]).parts[1].quantity
    'rows'
    >>> parse("auc < validation.auc - 0.02 (95%)", ["auc"]).side.of
    'validation'
    """
    reader = _Reader(text, metrics)
    try:
        return _single(reader.transform(_parser().parse(text)))
    except VisitError as error:
        if isinstance(error.orig_exc, MLOpsError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise reader.unexpected(error) from None


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _single(condition: Condition) -> Condition:
    """Without junctions of one part."""
    if isinstance(condition, Both | Either):
        parts = tuple(_single(one) for one in condition.parts)
        return parts[0] if len(parts) == 1 else type(condition)(parts)
    return condition


class _Reader(Transformer[Token, Any]):
    """Makes a condition of the parsed text and checks the names in it."""

    def __init__(self, text: str, metrics: Collection[str]) -> None:
        super().__init__()
        self.text = text
        self.metrics = ("loss", *metrics)

    def unexpected(self, error: UnexpectedInput) -> Invalid:
        at = getattr(error, "pos_in_stream", None)
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        if isinstance(error, UnexpectedEOF) or ended or at is None or not 0 <= at < len(self.text):
            at = len(self.text)
        words = self.text[at:].split()
        found = f"there stands {words[0][:30]!r}" if words else "it ends there"
        return self._wrong(at, "no condition is written so", found, _EXAMPLES)

    def _wrong(self, at: int, what: str, why: str, fix: str) -> Invalid:
        start, end = max(0, at - 30), min(len(self.text), at + 30)
        shown = f"{self.text[start:at]}▸{self.text[at:end]}".replace("\n", " ")
        return Invalid(f"{what}: {shown} (position {at + 1})", why, fix, code="E-RETRAIN-001")

    def _check(self, token: Token, known: Collection[str], noun: str) -> str:
        if str(token) not in known:
            raise self._wrong(
                token.start_pos or 0,
                f"{str(token)!r} is no {noun}",
                f"there are {', '.join(known)}",
                closest(str(token), known),
            )
        return str(token)

    def start(self, children: list[Any]) -> Condition:
        return children[0]  # type: ignore[no-any-return]

    def either(self, children: list[Any]) -> Either:
        return Either(tuple(children))

    def both(self, children: list[Any]) -> Both:
        return Both(tuple(children))

    def DRIFT(self, _: Token) -> Drifted:
        return Drifted()

    def number(self, children: list[Any]) -> Any:
        return Side(float(children[0])), "number", children[0].end_pos, ""

    def signed(self, children: list[Any]) -> Any:
        sign, number = children
        return Side(float(f"{sign}{number}")), "number", number.end_pos, ""

    def span(self, children: list[Any]) -> Any:
        seconds = parse_length(str(children[0])).total_seconds()
        return Side(seconds), "span", children[0].end_pos, ""

    def relative(self, children: list[Any]) -> Any:
        of, metric, factor, sign, number = children
        name = self._check(of, REFERENCES, "reference")
        about = self._check(metric, self.metrics, "metric")
        offset = float(number or 0) * (-1 if sign == "-" else 1)
        end = (number or factor or metric).end_pos
        return Side(offset, name, float(factor or 1)), "number", end, about

    def level(self, children: list[Any]) -> Any:
        level = float(children[0][:-1]) / 100
        if not 0.5 <= level < 1:
            raise self._wrong(
                children[0].start_pos or 0,
                f"{children[0]} is no confidence",
                "it lies between 50% and 100%",
                "write (95%)",
            )
        return level, (children[0].end_pos or 0) + 1

    def comparison(self, children: list[Any]) -> Comparison:
        name, operator, (side, kind, end, about), level = children
        quantity = self._check(name, [*self.metrics, *COUNTS, "age"], "quantity")
        at = name.start_pos or 0
        if (quantity == "age") != (kind == "span"):
            what = "an age is held against a time" if quantity == "age" else "only an age is a time"
            raise self._wrong(at, what, "", "write `age > 30d`")
        counted = quantity in (*COUNTS, "age")
        if counted and (side.of or level):
            raise self._wrong(at, f"{quantity} is a plain number", "", f"write `{quantity} > 5`")
        if about and about != quantity:
            raise self._wrong(
                at,
                f"{quantity} can't be held against {side.of}.{about}",
                "both sides must be the same metric",
                f"write `{quantity} {operator} {side.of}.{quantity}`",
            )
        confidence, end = level or (None, end)
        text = " ".join(self.text[at:end].split())
        return Comparison(text, quantity, str(operator), side, confidence)  # type: ignore[arg-type]
