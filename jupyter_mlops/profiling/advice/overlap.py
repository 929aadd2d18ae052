"""What two tables share that should be apart: rows, keys, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.hashing import hash_column, mix
from jupyter_mlops.data.sources.files.faults import reading
from jupyter_mlops.profiling.advice.finding import ROWS, Advice, percent

if TYPE_CHECKING:
    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["overlap"]

_BATCH: Final = 131_072
_KEYS: Final = 5
Hashes = npt.NDArray[np.uint64]


def overlap(
    here: pl.LazyFrame, there: pl.LazyFrame, mine: Profile, theirs: Profile
) -> list[Advice]:
    """Look for rows and keys of one table in the other, on all rows of both.

    Parameters
    ----------
    here, there : polars.LazyFrame
        For example the training and the test rows; each is read once more.
    mine, theirs : Profile
        Their profiles, which name keys, times and the target.

    Returns
    -------
    list of Advice
        About `here`: its ``code`` takes `there` to be a frame ``other``.

    Raises
    ------
    NotFound, Unavailable
        A file went away, or can't be read any more, since the tables were profiled.

    Examples
    --------
    >>> from jupyter_mlops.profiling import profile
    >>> a = pl.LazyFrame({"x": [i * 0.37 for i in range(200)], "y": [0, 1] * 100})
    >>> b = pl.concat([a.tail(50), a.tail(50).with_columns(pl.col("x") + 0.01)])
    >>> [one.finding for one in overlap(a, b, profile(a), profile(b))]
    ['overlap']
    """
    if _versions(mine, theirs):
        # Two versions of a dataset have most of their rows in common by nature.
        return []
    common = [name for name in mine.columns if name in theirs.columns]
    common = [name for name in common if _kind(mine, name) == _kind(theirs, name)]
    keys = [name for name in common if mine.columns[name].semantic == "id"][:_KEYS]
    features = [name for name in common if name not in keys and name != mine.target]
    found: list[Advice] = []
    tables = _Read(here, mine.label), _Read(there, theirs.label)
    if len(features) >= 2:
        found += _rows(*tables, features, mine)
    for key in keys:
        found += _shared_key(*tables, key)
    found += _times(common, mine, theirs)
    return found


@dataclass(frozen=True)
class _Read:
    """A table that is read again, and how it is called where that fails."""

    frame: pl.LazyFrame
    label: str

    def hashes(self, names: list[str]) -> Hashes:
        """One 64-bit hash for each row, of the given columns; two rows meet once in 10**19."""
        parts = []
        with reading(self.label or "the table"):
            for batch in self.frame.select(names).collect_batches(chunk_size=_BATCH):
                total = np.zeros(batch.height, dtype=np.uint64)
                for place, name in enumerate(names):
                    salt = np.uint64((0x9E3779B97F4A7C15 * (2 * place + 1)) % 2**64)
                    total += mix(hash_column(batch[name]) ^ salt)
                parts.append(total)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def _versions(mine: Profile, theirs: Profile) -> bool:
    """Whether both are recorded versions of one dataset."""
    names = [(one.data_ref or "").partition("@")[0] for one in (mine, theirs)]
    return bool(names[0]) and names[0] == names[1]


def _kind(profile: Profile, name: str) -> str:
    kind = profile.columns[name].type
    return "number" if kind in {"integer", "float", "decimal"} else kind


def _rows(here: _Read, there: _Read, features: list[str], mine: Profile) -> Iterator[Advice]:
    ours, others = here.hashes(features), there.hashes(features)
    kinds = np.unique(ours)
    shared = int(np.isin(others, kinds).sum())
    if not shared:
        return
    share = shared / len(others)
    # Rows that repeat within one table meet in two tables as well, by having few values.
    twice = 1 - len(np.unique(others)) / len(others)
    within = 1 - len(kinds) / len(ours)
    natural = max(twice, within)
    if share <= 3 * natural + 0.001:
        if natural < 0.001:
            return
        severity = "note"
    else:
        severity = "check"
    usual = f"; {percent(natural)} repeat within one of the tables" if natural >= 0.001 else ""
    known = "" if mine.target is None else f" but {mine.target!r}"
    yield Advice(
        ROWS,
        "overlap",
        "check" if severity == "check" else "note",
        f"{shared:,} of the other table's {len(others):,} rows ({percent(share)}) are in this one "
        f"too, equal in all {len(features):,} common columns{known} that are no keys{usual}",
        "take them out of one of the two: a model is not tested on rows it has learnt",
        "import pandas as pd\n"
        f"same = {features!r}\n"
        "df = df[~pd.MultiIndex.from_frame(df[same])"
        ".isin(pd.MultiIndex.from_frame(other[same]))]",
    )


def _shared_key(here: _Read, there: _Read, key: str) -> Iterator[Advice]:
    ours, others = np.unique(here.hashes([key])), there.hashes([key])
    shared = int(np.isin(others, ours).sum())
    if not shared:
        return
    yield Advice(
        key,
        "overlap",
        "check",
        f"{shared:,} of the other table's {len(others):,} values "
        f"({percent(shared / len(others))}) are in this one too",
        "split by this key, so that each of its values is on one side only",
        f"df = df[~df[{key!r}].isin(other[{key!r}])]",
    )


def _times(common: list[str], mine: Profile, theirs: Profile) -> Iterator[Advice]:
    """Whether the two are mixed in time although one should come after the other."""
    for name in common:
        a, b = mine.columns[name], theirs.columns[name]
        if not a.temporal or None in (a.low, a.high, b.low, b.high):
            continue
        low = a.quantile(0.02), b.quantile(0.02)
        high = a.quantile(0.98), b.quantile(0.98)
        if None in low or None in high:
            continue
        span = float(high[0]) - float(low[0])  # type: ignore[arg-type]
        apart = abs(float(low[0]) - float(low[1])) + abs(float(high[0]) - float(high[1]))  # type: ignore[arg-type]
        if span <= 0 or apart > 0.1 * span:
            continue
        yield Advice(
            name,
            "time leakage",
            "note",
            f"both tables run from {a.shown(a.low)} to {a.shown(a.high)}: they were not split "
            "by time",
            "if you will predict later rows from earlier ones, test on the latest rows",
            f"cut = df[{name!r}].quantile(0.8)\ndf = df[df[{name!r}] <= cut]\n"
            f"other = other[other[{name!r}] > cut]",
        )
