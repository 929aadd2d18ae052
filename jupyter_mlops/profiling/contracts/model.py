"""What a contract says: terms for each column, each with its tolerance and where it came from."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jupyter_mlops.profiling.contracts.legible import legible
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

__all__ = [
    "Bounds",
    "Contract",
    "Domain",
    "Drift",
    "Environment",
    "Freshness",
    "Key",
    "Length",
    "Null",
    "Origin",
    "Pattern",
    "Role",
    "Rows",
    "Terms",
]

Role = Literal["feature", "target", "key", "time"]
Value = bool | int | float | str
#: A share of rows; zero is a promise without exceptions.
Share = Field(ge=0, le=1)
_OPTIONAL: Final = ("from", "edges", "absent", "name", "semantic", "data", "digest")
_RULES: Final = ("null", "bounds", "domain", "length", "pattern", "drift")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Rule(_Part):
    # Where it came from: "observed", "the middle 99.8 %, widened by 10 %", "edited by ada".
    source: str = Field(default="", alias="from")


class Null(_Rule):
    """How many rows may lack a value."""

    max_fraction: float = Share
    observed: float | None = None


class Bounds(_Rule):
    """Between which values numbers and times lie; seconds for durations, ISO 8601 for times."""

    lo: float | int | str | None = None
    hi: float | int | str | None = None
    max_outside: float = Share
    observed: float | None = None


class Domain(_Rule):
    """Which values there are, and the share of all others together."""

    values: list[Value] = Field(min_length=1)
    max_outside: float = Share


class Length(_Rule):
    """How many characters texts have."""

    lo: int = 0
    hi: int
    max_outside: float = Share


class Pattern(_Rule):
    """A regular expression that texts match."""

    name: str = ""
    regex: str
    max_outside: float = Share


class Drift(_Rule):
    """From which difference on monitoring looks (`watch`) and calls it drift (`act`)."""

    watch: float = Field(default=0.1, gt=0)
    act: float = Field(default=0.25, gt=0)
    # The deciles of the data the contract was learnt from.
    edges: list[float] = Field(default_factory=list)


class Terms(_Part):
    """What one column is like.

    Attributes
    ----------
    type : str
        The logical type: integer, float, text, boolean, date, datetime UTC…
    semantic : str
        What the values seemed to be.
    role : {"feature", "target", "key", "time"}
    required : bool
        Whether the column must be there at all.
    null, bounds, domain, length, pattern, drift : optional
        The rules.
    """

    type: str
    semantic: str = ""
    role: Role = "feature"
    required: bool = True
    # Only of what a person changed: the rest is as it was observed.
    source: str = Field(default="observed", alias="from")
    null: Null | None = None
    bounds: Bounds | None = None
    domain: Domain | None = None
    length: Length | None = None
    pattern: Pattern | None = None
    drift: Drift | None = None


class Rows(_Rule):
    """How many rows a table has at least."""

    min: int = Field(ge=0)


class Key(_Rule):
    """Columns that together tell rows apart."""

    columns: list[str] = Field(min_length=1)
    max_repeats: float = Share


class Freshness(_Rule):
    """How old the newest row may be, in seconds."""

    column: str
    max_age: float = Field(gt=0)


class Environment(_Rule):
    """Where data is met: which columns aren't there, each with the reason."""

    absent: dict[str, str] = Field(default_factory=dict)


class Origin(_Part):
    """What a contract was learnt from."""

    data: str = ""
    digest: str = ""
    rows: int = 0


def _environments() -> dict[str, Environment]:
    return {"training": Environment(), "serving": Environment()}


class Contract(_Part, Result):
    """What a table must be like, with how much of it may be otherwise.

    Every share is one of the population: a table breaks a rule when more of its rows do than
    the share and chance allow (see `jupyter_mlops.profiling.contracts.check`).

    Attributes
    ----------
    columns : dict of str to Terms
        In the table's order.
    environments : dict of str to Environment
        Which columns are absent where; the target is absent at serving.
    keys : list of Key
    freshness, rows : optional
        Rules of the whole table; like keys they don't hold for requests at serving.
    extra : {"allowed", "refused"}
        Columns that the contract doesn't name.
    name, version, author, created_at, profile, notes
        Of a saved contract; no part of its content.

    Examples
    --------
    >>> contract = infer(profile(pl.LazyFrame({"age": range(1, 100)})))  # doctest: +SKIP
    >>> contract.columns["age"].bounds.lo                                  # doctest: +SKIP
    0
    """

    origin: Origin = Field(default_factory=Origin)
    rows: Rows | None = None
    environments: dict[str, Environment] = Field(default_factory=_environments)
    keys: list[Key] = Field(default_factory=list)
    freshness: Freshness | None = None
    extra: Literal["allowed", "refused"] = "allowed"
    columns: dict[str, Terms] = Field(default_factory=dict)

    name: str = Field(default="", exclude=True)
    version: int | None = Field(default=None, exclude=True)
    author: str = Field(default="", exclude=True)
    created_at: datetime | None = Field(default=None, exclude=True)
    profile: str = Field(default="", exclude=True)
    notes: list[str] = Field(default_factory=list, exclude=True)

    @property
    def ref(self) -> str | None:
        """``contract:NAME@VERSION``, or None for one that isn't saved."""
        return f"contract:{self.name}@{self.version}" if self.name and self.version else None

    @property
    def label(self) -> str:
        """How to call it in a sentence."""
        return self.ref or (f"contract {self.name}" if self.name else "the contract")

    @property
    def digest(self) -> str:
        """SHA-256 of the content; name and version are no part of it."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def target(self) -> str | None:
        """The column to predict."""
        return next((name for name, one in self.columns.items() if one.role == "target"), None)

    def column(self, name: str, *, by: str = "", **changes: Any) -> Contract:
        """A new contract that says something else of a column.

        Parameters
        ----------
        name : str
        by : str
            Who says so.
        **changes
            lo, hi, max_outside, allow, forbid, max_missing, min_length, max_length, pattern,
            required, absent_at, present_at, type, role, watch, act, max_repeats, max_age.

        Examples
        --------
        >>> contract.column("income", lo=0, max_missing=0.1)  # doctest: +SKIP
        """
        from jupyter_mlops.profiling.contracts.editing import changed

        return changed(self, name, by, **changes)

    def without(self, name: str) -> Contract:
        """A new contract that says nothing of a column."""
        from jupyter_mlops.profiling.contracts.editing import without

        return without(self, name)

    def absent(self, environment: str) -> dict[str, str]:
        """The columns that aren't there in an environment, with the reason.

        Raises
        ------
        Invalid
            The contract knows no such environment.
        """
        found = self.environments.get(environment)
        if found is None:
            raise Invalid(
                f"{self.label} has no environment {environment!r}",
                f"it has {', '.join(self.environments)}",
                "name one of them with --environment",
                code="E-CONTRACT-001",
            )
        return found.absent

    def content(self) -> dict[str, Any]:
        """The contract as plain values in a fixed order; what isn't said is left out."""
        made: dict[str, Any] = _ordered(
            self.model_dump(mode="json", by_alias=True, exclude_none=True)
        )
        return made

    def to_dict(self) -> dict[str, Any]:
        """The content with the name and version before it."""
        head = {"contract": self.name, "version": self.version} if self.name else {}
        return {**head, **self.content()}

    def text(self) -> str:
        """The contract as JSON, one rule a line, so that two versions differ in few lines."""
        return _written(self.to_dict())

    @classmethod
    def from_dict(cls, body: Any, **saved: Any) -> Contract:
        """The contract back from JSON.

        Raises
        ------
        Invalid
            It isn't one; says which field and why.
        """
        if not isinstance(body, dict):
            raise Invalid(
                f"a contract can't be a {type(body).__name__}",
                fix="write an object with `columns`",
                code="E-CONTRACT-002",
            )
        content = {key: value for key, value in body.items() if key not in ("contract", "version")}
        if not saved.get("name") and isinstance(body.get("contract"), str):
            saved = {**saved, "name": body["contract"], "version": body.get("version")}
        try:
            made = cls(**content, **saved)
        except (ValidationError, TypeError) as error:
            raise Invalid(
                "this is no contract",
                _first(error),
                "`%mlops contract show NAME` shows how one is written",
                code="E-CONTRACT-003",
            ) from None
        made._consistent()
        if made.created_at is None:
            # What was kept once can always be read: it was looked at then.
            for name, terms in made.columns.items():
                legible(name, terms)
        return made

    def _consistent(self) -> None:
        """Refuse rules that no table could keep, and names of columns that aren't there."""
        named = {name for one in self.environments.values() for name in one.absent}
        named |= {name for key in self.keys for name in key.columns}
        named |= {self.freshness.column} if self.freshness else set()
        unknown = sorted(named - set(self.columns))
        reason = f"there is no column {unknown[0]!r}" if unknown else ""
        for name, terms in self.columns.items():
            for rule in (terms.bounds, terms.length):
                lo, hi = (rule.lo, rule.hi) if rule else (None, None)
                if lo is None or hi is None:
                    continue
                if isinstance(lo, str) is not isinstance(hi, str) or lo > hi:  # type: ignore[operator]
                    reason = f"column {name!r} can't be between {lo} and {hi}"
            if terms.drift and terms.drift.watch > terms.drift.act:
                reason = f"column {name!r} would be watched only after it has drifted"
        if reason:
            raise Invalid(
                "the contract contradicts itself", reason, "change that", code="E-CONTRACT-004"
            )

    def __repr__(self) -> str:
        return f"<Contract {self.ref or self.name or 'unsaved'}: {len(self.columns):,} columns>"


def _first(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error).partition(")")[2].strip() or str(error)
    one = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in one["loc"])
    return f"{place}: {one['msg'][:1].lower()}{one['msg'][1:]}"


def _ordered(value: Any, place: str = "") -> Any:
    """Plain values without what is empty, and what a rule says before where it came from."""
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = place in ("columns", "environments", "absent")
    empty = {} if names else {key for key in _OPTIONAL if value.get(key) in ("", [], {})}
    rest = {key: _ordered(one, key) for key, one in value.items() if key not in empty}
    if not names and "from" in rest:
        rest["from"] = rest.pop("from")
    # The rules of a column come after what is said of it in a word.
    return {**{k: v for k, v in rest.items() if names or k not in _RULES}, **rest}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _written(body: dict[str, Any]) -> str:
    columns = body["columns"]
    head = [f" {_line(key)}: {_line(one)}," for key, one in body.items() if key != "columns"]
    parts = []
    for name, terms in columns.items():
        plain = {key: one for key, one in terms.items() if key not in _RULES}
        lines = [_line(plain)[:-1]]
        lines += [f"   {_line(key)}: {_line(terms[key])}" for key in _RULES if key in terms]
        parts.append(f"  {_line(name)}: " + ",\n".join(lines) + "}")
    inner = ",\n".join(parts)
    return "\n".join(["{", *head, ' "columns": {', inner, " }", "}"]) + "\n"
