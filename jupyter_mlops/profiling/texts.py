"""How texts are written: their lengths, words, character classes and shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["CLASSES", "Texts", "shapes"]

#: Texts of a batch that are looked at closely; lengths are taken from all.
LOOKED: Final = 512
_FINE: Final = 256
_SHAPES: Final = 64
_ROOM: Final = 512
_SHAPED: Final = 24
#: What a text is made of, as regular expressions that find one such character.
CLASSES: Final = {
    "upper case": r"\p{Lu}",
    "lower case": r"\p{Ll}",
    "digits": r"\p{N}",
    "spaces": r"\s",
    "punctuation": r"[\p{P}\p{S}]",
    "beyond ASCII": r"[^\x00-\x7F]",
    "padding": r"^\s|\s$",
}


@dataclass
class Texts:
    """What texts look like, in bounded memory; two of them merge.

    Attributes
    ----------
    lengths : dict of int to int
        Texts by length in characters: exact up to 256, beyond by the next power of two.
    words : dict of int to float
        Texts by number of words, capped alike.
    patterns : dict of str to float
        Texts by shape: ``A`` for an upper-case letter, ``a`` for a lower-case one, ``9`` for a
        digit; in long texts a run is one letter and ``+``.
    classes : dict of str to float
        Texts that hold a character of each of `CLASSES`.
    weight, looked : float, int
        Texts that the last three speak for, and how many of those were looked at: all of a batch
        with few different ones, else `LOOKED` of it.
    error : float
        How many texts a shape may have had beyond its count.

    Examples
    --------
    >>> made = Texts()
    >>> made.update(pl.Series(["AB-1", "CD-2", "x"]), np.array([3, 1, 1]))
    >>> made.top(1)
    [('AA-9', 0.8)]
    """

    lengths: dict[int, int] = field(default_factory=dict)
    words: dict[int, float] = field(default_factory=dict)
    patterns: dict[str, float] = field(default_factory=dict)
    classes: dict[str, float] = field(default_factory=dict)
    weight: float = 0.0
    looked: int = 0
    error: float = 0.0

    def measure(self, lengths: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
        """Add lengths in characters and how many texts have each."""
        _tally(self.lengths, _capped(lengths), counts)

    def update(self, texts: pl.Series, counts: npt.NDArray[Any] | None = None) -> None:
        """Add texts, each standing for `counts` rows; without counts, a share of them is taken."""
        n = len(texts)
        if not n:
            return
        if counts is None:
            chosen = np.linspace(0, n - 1, min(n, LOOKED)).astype(np.int64)
            texts, counts = texts[chosen], np.full(len(chosen), n / len(chosen))
            self.looked += len(chosen)
        else:
            self.looked += int(counts.sum())
        self.weight += float(counts.sum())
        found = pl.DataFrame({"s": texts}).select(
            shapes(texts).alias("shape"),
            pl.col("s").str.count_matches(r"\S+").alias("words"),
            *(pl.col("s").str.contains(p).alias(name) for name, p in CLASSES.items()),
        )
        _tally(self.words, _capped(found["words"].to_numpy()), counts)
        for name in CLASSES:
            held = float(counts[found[name].to_numpy()].sum())
            self.classes[name] = self.classes.get(name, 0.0) + held
        for shape, count in zip(found["shape"].to_list(), counts.tolist(), strict=True):
            self.patterns[shape] = self.patterns.get(shape, 0.0) + count
        self._prune()

    def merge(self, other: Texts) -> None:
        """Add what another has seen."""
        for name in ("lengths", "words", "patterns", "classes"):
            mine = getattr(self, name)
            for key, count in getattr(other, name).items():
                mine[key] = mine.get(key, 0) + count
        self.weight += other.weight
        self.looked += other.looked
        self.error += other.error
        self._prune()

    def top(self, number: int = 5) -> list[tuple[str, float]]:
        """The most frequent shapes with their shares."""
        shown = [(shape, n) for shape, n in self.patterns.items() if n > self.error]
        shown.sort(key=lambda one: (-one[1], one[0]))
        return [(shape, n / self.weight) for shape, n in shown[:number]]

    def share(self, name: str) -> float:
        """The share of texts that hold a character of a class."""
        return self.classes.get(name, 0.0) / self.weight if self.weight else 0.0

    @property
    def half_width(self) -> float:
        """How far a share may be off, 95 % of the time; 0 when every text was looked at."""
        if not self.weight or self.looked >= self.weight:
            return 0.0
        return 0.98 / math.sqrt(self.looked)

    @property
    def mean_words(self) -> float | None:
        """The mean number of words."""
        if not self.weight:
            return None
        return sum(n * count for n, count in self.words.items()) / self.weight

    def length(self, rank: float) -> int | None:
        """The length that a share of the texts doesn't exceed."""
        total, below = sum(self.lengths.values()), 0
        for length in sorted(self.lengths):
            below += self.lengths[length]
            if below >= rank * total:
                return length
        return None

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON."""
        state = dict(vars(self))
        kept, dropped = _largest(self.patterns)
        state["patterns"], state["error"] = kept, self.error + dropped
        for name in ("lengths", "words"):
            state[name] = sorted([k, v] for k, v in getattr(self, name).items())
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Texts:
        """The state back from JSON."""
        state = dict(state)
        for name in ("lengths", "words"):
            state[name] = {int(k): v for k, v in state[name]}
        for name in ("patterns", "classes"):
            state[name] = dict(state[name])
        return cls(**state)

    def _prune(self) -> None:
        if len(self.patterns) > _ROOM:
            self.patterns, dropped = _largest(self.patterns)
            self.error += dropped


def shapes(texts: pl.Series) -> pl.Series:
    """The shape of each text: ``AA-9999`` for ``UA-1545``; long ones with runs drawn together.

    Examples
    --------
    >>> shapes(pl.Series(["UA-1545", "a text of many words, drawn together"])).to_list()
    ['AA-9999', 'a a+ a+ a+ a+, a+ a+']
    """
    # A megabyte of text has no shape that anyone would read.
    whole = pl.col("s").str.slice(0, 4 * _SHAPED)
    for letters, stand_in in ((r"\p{Lu}", "A"), (r"[\p{L}--\p{Lu}]", "a"), (r"\p{N}", "9")):
        whole = whole.str.replace_all(letters, stand_in)
    drawn = pl.col("s")
    for letter in "Aa9 ":
        drawn = drawn.str.replace_all(f"{letter}{{2,}}", f"{letter}+")
    long = pl.col("s").str.len_chars() > _SHAPED
    # Two steps, so that nothing is replaced twice.
    found = (
        texts.to_frame("s")
        .select(whole)
        .select(pl.when(long).then(drawn.str.slice(0, _SHAPED)).otherwise(pl.col("s")))
    )
    return found.to_series()


def _capped(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    sizes = lengths.astype(np.int64)
    large = sizes > _FINE
    if large.any():
        sizes[large] = 1 << np.ceil(np.log2(sizes[large])).astype(np.int64)
    return sizes


def _tally(mine: dict[int, Any], sizes: npt.NDArray[np.int64], counts: npt.NDArray[Any]) -> None:
    if not sizes.size:
        return
    small = np.minimum(sizes, _FINE + 1)
    found = np.bincount(small, counts, _FINE + 2)
    whole = counts.dtype.kind in "iu"
    for size in np.flatnonzero(found[: _FINE + 1]).tolist():
        mine[size] = mine.get(size, 0) + (int(found[size]) if whole else float(found[size]))
    for place in np.flatnonzero(small > _FINE):
        size = int(sizes[place])
        mine[size] = mine.get(size, 0) + counts[place].item()


def _largest(patterns: dict[str, float]) -> tuple[dict[str, float], float]:
    """The most frequent shapes, and the largest count among the others."""
    if len(patterns) <= _SHAPES:
        return dict(patterns), 0.0
    ordered = sorted(patterns.items(), key=lambda one: (-one[1], one[0]))
    return dict(ordered[:_SHAPES]), ordered[_SHAPES][1]
