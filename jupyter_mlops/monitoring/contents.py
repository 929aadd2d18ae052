"""How far texts and embeddings lie from those of the reference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.separating import FEWEST, Separation, separate

__all__ = ["Content", "compare_embeddings", "compare_texts", "distances_from_mean", "psi_of"]

_WORD: Final = re.compile(r"\w+")
_COMPONENTS: Final = 32
_HASHES: Final = 2**14
#: Of longer texts the beginning says enough.
_LONGEST: Final = 4000
#: A finding that is told besides must be surer than the test of all of them together.
_SURE: Final = 0.001

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Content:
    """How two samples of texts or embeddings differ.

    Attributes
    ----------
    separation : Separation or None
        What a classifier makes of their content; None with too few of them.
    p_value : float
        Of all its tests together.
    notes : list of str
        What changed, in words: the length of texts, words that weren't known.
    missing, sizes : (int, int)
        Rows without a value, and all rows, of the reference's sample and the window's.
    """

    separation: Separation | None
    p_value: float
    notes: list[str]
    missing: tuple[int, int]
    sizes: tuple[int, int]


def compare_texts(reference: pl.Series, current: pl.Series) -> Content:
    """Compare texts by length, by words the reference doesn't know, and by their n-grams.

    Words are held against a vocabulary from half of the reference; the share that it lacks is
    compared with that of the other half, which it lacks as many of when nothing changed.
    """
    before, now = (
        side.cast(pl.String).drop_nulls().str.slice(0, _LONGEST) for side in (reference, current)
    )
    missing = reference.null_count(), current.null_count()
    sizes = len(reference), len(current)
    if min(len(before), len(now)) < FEWEST:
        return Content(None, 1.0, [], missing, sizes)
    lengths = [np.sort(side.str.len_chars().to_numpy().astype(float)) for side in (before, now)]
    length_p = statistics.kolmogorov_smirnov(lengths[0], lengths[1])[1]
    words = [[_WORD.findall(one.lower()) for one in side.to_list()] for side in (before, now)]
    known = {word for text in words[0][::2] for word in text}
    unknown = [np.sort(_unknown(side, known)) for side in (words[0][1::2], words[1])]
    words_p = statistics.kolmogorov_smirnov(unknown[0], unknown[1])[1]
    found = separate(
        _grams([*before.to_list(), *now.to_list()]),
        np.arange(len(before) + len(now)) >= len(before),
        _line,
    )
    notes = []
    if length_p <= _SURE:
        was, new = (float(np.median(side)) for side in lengths)
        notes.append(f"median length {was:,.0f} → {new:,.0f} characters")
    if words_p <= _SURE:
        shares = [float(side.mean()) for side in unknown]
        notes.append(f"unknown words {shares[0]:.1%} → {shares[1]:.1%}")
    p_value = min(1.0, 3 * min(length_p, words_p, found.p_value))
    return Content(found, p_value, notes, missing, sizes)


def compare_embeddings(reference: pl.Series, current: pl.Series) -> Content:
    """Compare vectors by a classifier of their principal components and the squares of these.

    Vectors of another length than the reference's most frequent one count as missing.
    """
    width = _width(reference)
    before, now = (_vectors(side, width) for side in (reference, current))
    sizes = len(reference), len(current)
    missing = sizes[0] - len(before), sizes[1] - len(now)
    if min(len(before), len(now)) < FEWEST or not width:
        return Content(None, 1.0, [], missing, sizes)
    rows = np.concatenate([before, now])
    side = np.arange(len(rows)) >= len(before)
    found = separate(_components(rows), side, _line)
    notes = []
    if found.p_value <= _SURE:
        scale = float(np.sqrt(np.sum(before.var(axis=0)))) or 1.0
        moved = float(np.linalg.norm(now.mean(axis=0) - before.mean(axis=0))) / scale
        notes.append(f"the mean moved by {moved:.2f} of the spread")
    return Content(found, found.p_value, notes, missing, sizes)


def _unknown(texts: list[list[str]], known: set[str]) -> Floats:
    return np.array([sum(word not in known for word in text) / max(1, len(text)) for text in texts])


def _grams(texts: list[str]) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=_HASHES, ngram_range=(1, 2), norm="l2")
    return hashing.transform(texts).tocsr()


def _components(rows: Floats) -> Floats:
    from sklearn.decomposition import PCA

    kept = max(1, min(_COMPONENTS, rows.shape[1], len(rows) - 1))
    # Over both sides together, so that it says nothing of the side.
    found = PCA(kept, random_state=0).fit_transform(rows)
    spread = found.std(axis=0)
    found = found / np.where(spread > 0, spread, 1.0)
    return np.concatenate([found, found**2 - 1], axis=1)


def _line() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=200)


def distances_from_mean(reference: pl.Series, current: pl.Series) -> tuple[Floats, Floats]:
    """How far the vectors of either side lie from the mean of the reference.

    NaN where there is no vector of the reference's length, or one that isn't finite.
    """
    width = _width(reference)
    middle = _vectors(reference, width).mean(axis=0)
    return _distances(reference, middle), _distances(current, middle)


def psi_of(auc: float) -> float:
    """The PSI of two normals that are as hard to tell apart.

    They lie d apart where the area is normal(d / sqrt 2), and their PSI is d squared.
    """
    return 2 * float(stats.norm.ppf(min(max(auc, 0.5), 0.9999))) ** 2


def _width(column: pl.Series) -> int:
    """The most frequent length of a column's vectors, 0 where there are none."""
    if isinstance(column.dtype, pl.Array):
        return int(column.dtype.size)
    sizes = column.drop_nulls().list.len()
    return int(sizes.mode().min() or 0) if len(sizes) else 0  # type: ignore[arg-type]


def _vectors(column: pl.Series, width: int) -> Floats:
    """The vectors of this width whose numbers are all finite, shape (n, width)."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List) or not width:
        return np.zeros((0, max(1, width)))
    whole = column.drop_nulls()
    whole = whole.filter(whole.list.len() == width)
    flat = whole.explode().cast(pl.Float64, strict=False).to_numpy().reshape(-1, width)
    return np.asarray(flat[np.isfinite(flat).all(axis=1)], float)


def _distances(vectors: pl.Series, middle: Floats) -> Floats:
    """How far each vector lies from a point; NaN where it is no such vector."""
    if isinstance(vectors.dtype, pl.Array):
        vectors = vectors.arr.to_list()
    found = np.full(len(vectors), np.nan)
    if not isinstance(vectors.dtype, pl.List):
        return found
    whole = (vectors.list.len() == middle.size).fill_null(False)
    rows = vectors.filter(whole).explode().cast(pl.Float64, strict=False).to_numpy()
    found[whole.to_numpy()] = np.linalg.norm(rows.reshape(-1, middle.size) - middle, axis=1)
    return np.where(np.isfinite(found), found, np.nan)
