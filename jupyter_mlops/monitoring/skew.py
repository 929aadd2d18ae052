"""Training-serving skew: is a row served as it was trained on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.pairs import SkewFeature, compare_pairs
from jupyter_mlops.monitoring.replaying import Replay
from jupyter_mlops.monitoring.sides import INPUT, read_sides, within
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Invalid, NotFound, Result, closest
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["TIGHT", "Skew", "compare_sides"]

Verdict = Literal["skewed", "same", "not enough data"]

#: Skew needs no time to come about: what drift lets pass is too much here.
TIGHT = Limits(
    psi_watch=0.02,
    psi_act=0.1,
    distance_watch=0.05,
    distance_act=0.2,
    missing_watch=0.005,
    missing_act=0.02,
    unseen_watch=0.002,
    unseen_act=0.02,
)
FEWEST_PAIRS = 20
_ORDER = ("skewed", "watch", "same")


@dataclass(frozen=True)
class Skew(Result):
    """Whether an endpoint is given what its model was trained on.

    Attributes
    ----------
    id : str
        ``skew:<id>`` refers to it.
    endpoint : str
    model, version : str or None
    reference : str
        The training data.
    key : str or None
        The column by which rows were found on both sides; None where distributions were compared.
    rows : int
        Rows that were compared: pairs, or the window's rows.
    reference_rows : int
    window : Window
    features : list of SkewFeature
        Row by row, the most differing first; empty where distributions were compared.
    distributions : list of FeatureDrift
        Where there are no rows to compare.
    replay : Replay or None
        Training rows sent through the endpoint.
    verdict : {"skewed", "same", "not enough data"}
    sentence : str
    notices : list of str
    at : datetime
    """

    id: str
    endpoint: str
    model: str | None
    version: str | None
    reference: str
    key: str | None
    rows: int
    reference_rows: int
    window: Window
    features: list[SkewFeature]
    distributions: list[FeatureDrift]
    replay: Replay | None
    verdict: Verdict
    sentence: str
    notices: list[str]
    at: datetime

    @property
    def ref(self) -> str:
        return f"skew:{self.id}"

    @property
    def skewed(self) -> list[str]:
        """Names of the features that differ."""
        by_row = [one.name for one in self.features if one.verdict == "skewed"]
        return by_row + [one.name for one in self.distributions if one.verdict == "drifted"]

    def feature(self, name: str) -> SkewFeature:
        """Return one feature by name."""
        for one in self.features:
            if one.name == name:
                return one
        raise NotFound(
            f"{self.ref} has no feature {name!r}",
            fix=closest(name, [one.name for one in self.features]),
            code="E-MONITORING-003",
        )


def compare_sides(
    reference: Table,
    traffic: pl.LazyFrame,
    *,
    endpoint: str,
    key: str | None = None,
    features: Sequence[str] | None = None,
    model: str | None = None,
    version: str | None = None,
    window: Window | None = None,
    replay: Replay | None = None,
    notices: Sequence[str] = (),
) -> Skew:
    """Compare training rows with logged ones: row by row where a key allows, else as a whole.

    Parameters
    ----------
    reference : Table
        The training data.
    traffic : polars.LazyFrame
        The traffic log, with the rows' ``key``.
    endpoint : str
    key : str, optional
        The reference's column that holds what was logged as the key. Keys that occur more than
        once in it mean no single row, and are left out; of several requests for one key the
        newest counts.
    features : sequence of str, optional
    model, version : str, optional
    window : Window, optional
    replay : Replay, optional
        What became of training rows sent through the endpoint.
    notices : sequence of str

    Raises
    ------
    NotFound
        ``E-MONITORING-005``: no traffic in the window.
    Invalid
        ``E-MONITORING-006``: the sides share no feature. ``E-MONITORING-024``: the reference has
        no such key.
    """
    window, told = window or Window(), list(notices)
    if within(traffic, window).select(pl.len()).collect().item() == 0:
        raise NotFound(
            f"endpoint {endpoint!r} has no traffic in the window {window}",
            fix="widen --since, --until or --window, or send rows with `%mlops call`",
            code="E-MONITORING-005",
        )
    known = reference.scan().collect_schema().names()
    if key is not None and key not in known:
        raise Invalid(
            f"the training data has no key {key!r}",
            f"{reference.label} has {', '.join(known[:12])}",
            closest(key, known) or "name its key with --key",
            code="E-MONITORING-024",
        )
    pairs = None
    if key is not None:
        if reference.scan().collect_schema()[key].is_nested():
            raise Invalid(
                f"rows can't be found by {key!r}",
                "it holds lists or structures",
                "name a column of numbers or texts with --key",
                code="E-MONITORING-024",
            )
        pairs, names = _pairs(reference, traffic, window, key, features, told)
    made = Skew(
        id=new_id(),
        endpoint=endpoint,
        model=model,
        version=version,
        reference=reference.label,
        key=None,
        rows=0,
        reference_rows=reference.scan().select(pl.len()).collect().item(),
        window=window,
        features=[],
        distributions=[],
        replay=replay,
        verdict="same",
        sentence="",
        notices=told,
        at=utcnow(),
    )
    if pairs is not None:
        found = [
            compare_pairs(one, pairs["\0key"], pairs["\0a" + one], pairs["\0b" + one])
            for one in names
        ]
        found.sort(key=lambda one: (_ORDER.index(one.verdict), -one.share, one.name))
        made = replace(made, key=key, rows=pairs.height, features=found)
    else:
        sides = read_sides(reference, traffic, features, window)
        told.extend(sides.notices)
        lists = [
            one
            for one in sides.names
            if any(side.schema[one].is_nested() for side in (sides.reference, sides.current))
        ]
        told.extend(f"{one!r} holds lists, which are compared row by row alone" for one in lists)
        plain = [one for one in sides.names if one not in lists]
        if not plain:
            raise Invalid(
                f"none of the features of {endpoint!r} can be compared by distribution",
                told[-1],
                "say with --key by which column rows are found on both sides",
                code="E-MONITORING-029",
            )
        judged = compare_features(sides.reference, sides.current, plain, TIGHT)
        made = replace(made, rows=sides.current.height, distributions=judged)
    made = replace(made, verdict=_verdict(made))
    return replace(made, sentence=_sentence(made))


def _pairs(
    reference: Table,
    traffic: pl.LazyFrame,
    window: Window,
    key: str,
    features: Sequence[str] | None,
    told: list[str],
) -> tuple[pl.DataFrame | None, list[str]]:
    logged = traffic.collect_schema().names()
    known = reference.scan().collect_schema().names()
    inputs = [one.removeprefix(INPUT) for one in logged if one.startswith(INPUT)]
    names = [one for one in (features or inputs) if one in known and one in inputs]
    told.extend(f"{one!r} is on one side only" for one in features or () if one not in names)
    if not names or "key" not in logged:
        return None, names
    before = reference.scan().select(
        _as_logged(key, reference.scan().collect_schema()[key]).alias("\0key"),
        *(pl.col(one).alias("\0a" + one) for one in names),
    )
    now = (
        within(traffic, window)
        .sort("event_time", maintain_order=True)
        .select(
            pl.col("key").cast(pl.String).str.replace(r"^(-?\d+)\.0$", "${1}").alias("\0key"),
            *(pl.col(INPUT + one).alias("\0b" + one) for one in names),
        )
        .drop_nulls("\0key")
        .unique("\0key", keep="last", maintain_order=True)
    )
    single = before.drop_nulls("\0key").unique("\0key", keep="none")
    pairs = now.join(single, on="\0key", how="inner", maintain_order="left").collect()
    several = before.drop_nulls("\0key").group_by("\0key").len().filter(pl.col("len") > 1)
    repeated = several.join(now.select("\0key"), on="\0key").select(pl.len()).collect().item()
    if repeated:
        told.append(f"{repeated:,} keys mean several training rows and are left out")
    if pairs.height < FEWEST_PAIRS:
        told.append(
            f"{pairs.height:,} rows are in both by {key!r}, fewer than {FEWEST_PAIRS}: "
            "distributions are compared instead"
        )
        return None, names
    return pairs, names


def _as_logged(key: str, dtype: pl.DataType) -> pl.Expr:
    """A key as text, a whole number without its decimals: pandas makes 5.0 of 5 beside a gap."""
    values = pl.col(key)
    if dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        return (
            pl.when(values == whole).then(whole.cast(pl.String)).otherwise(values.cast(pl.String))
        )
    return values.cast(pl.String)


def _verdict(found: Skew) -> Verdict:
    if found.skewed or (found.replay is not None and found.replay.differing):
        return "skewed"
    short = [one for one in found.distributions if one.verdict == "not enough data"]
    if found.distributions and len(short) == len(found.distributions):
        return "not enough data"
    return "same"


def _sentence(found: Skew) -> str:
    said = []
    if found.key is not None:
        said.append(
            f"{found.rows:,} rows found on both sides by {found.key!r}: "
            + _named(found.skewed, len(found.features))
        )
        worst = next((one for one in found.features if one.verdict == "skewed"), None)
        if worst is not None:
            rule = f" ({worst.rule})" if worst.rule else ""
            said.append(f"{worst.name!r} in {worst.share:.1%} of them{rule}")
    elif found.verdict == "not enough data":
        one = found.distributions[0]
        said.append(f"not enough data: {one.rows:,} of {one.rows_needed:,} rows")
    else:
        named = _named(found.skewed, len(found.distributions))
        said.append(f"by distribution, not row by row: {named}")
    if found.replay is not None:
        said.append(found.replay.sentence)
    return "; ".join(said) + "."


def _named(skewed: list[str], of: int) -> str:
    if not skewed:
        return f"none of {of} features differs"
    names = ", ".join(skewed[:4]) + (", …" if len(skewed) > 4 else "")
    return f"{len(skewed)} of {of} features differ ({names})"


def to_dict(found: Skew) -> dict[str, Any]:
    """What the record keeps beside its own columns, JSON-safe."""
    return {
        "version": found.version,
        "key": found.key,
        "reference_rows": found.reference_rows,
        "since": found.window.since and found.window.since.isoformat(),
        "until": found.window.until and found.window.until.isoformat(),
        "features": [one.to_dict() for one in found.features],
        "distributions": [one.to_dict() for one in found.distributions],
        "replay": found.replay and found.replay.to_dict(),
        "sentence": found.sentence,
        "notices": found.notices,
    }
