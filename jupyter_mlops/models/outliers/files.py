"""A scorer as a file beside its model: NumPy's arrays without pickles, and a description."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from jupyter_mlops.models.outliers.columns import Codes, Numbers, Words
from jupyter_mlops.models.outliers.scoring import Scorer
from jupyter_mlops.models.outliers.tails import Floats, Tail

__all__ = ["FILE", "as_bytes", "read"]

FILE: Final = "outliers.npz"
_VERSION: Final = 1


def as_bytes(scorer: Scorer) -> bytes:
    """The file's content; the same for the same scorer."""
    about: dict[str, Any] = {
        "version": _VERSION,
        "rows": scorer.rows,
        "numbers": [{"name": one.name, "missing": one.missing} for one in scorer.numbers],
        "others": [
            {
                "name": one.name,
                "unseen": one.unseen,
                "missing": one.missing,
                **({"words": dict(one.far)} if isinstance(one, Words) else {}),
            }
            for one in scorer.others
        ],
    }
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        "precision": scorer.precision,
    }
    for place, one in enumerate(scorer.numbers):
        arrays[f"number.{place}"] = np.stack([one.values, one.normal])
    for place, other in enumerate(scorer.others):
        if isinstance(other, Codes):
            arrays[f"other.{place}"] = np.stack([other.values, other.far])
    for name in ("single", "joint", "both"):
        arrays |= getattr(scorer, name).arrays(name)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def read(path: Path) -> Scorer:
    """Read a scorer.

    Raises
    ------
    ValueError, KeyError, OSError
        The file isn't one, or of another release.
    """
    with np.load(path, allow_pickle=False) as kept:
        about = json.loads(kept["about"].tobytes())
        if about["version"] != _VERSION:
            raise ValueError(f"{path.name} is of version {about['version']}")
        numbers = [
            Numbers(one["name"], *_pair(kept[f"number.{place}"]), one["missing"])
            for place, one in enumerate(about["numbers"])
        ]
        others = [
            Words(one["name"], one["words"], one["unseen"], one["missing"])
            if "words" in one
            else Codes(one["name"], *_pair(kept[f"other.{place}"]), one["unseen"], one["missing"])
            for place, one in enumerate(about["others"])
        ]
        single, joint, both = (Tail.of(kept, name) for name in ("single", "joint", "both"))
        return Scorer(numbers, others, kept["precision"], single, joint, both, about["rows"])


def _pair(kept: Any) -> tuple[Floats, Floats]:
    values, places = kept
    return values, places
