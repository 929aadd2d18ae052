"""Items as numbers, for the model that chooses what to label next."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from jupyter_mlops.labeling.records import ItemRecord
from jupyter_mlops.labeling.tasks import Task, pack_key
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["texts", "vectors"]

Floats = npt.NDArray[np.float64]
# Pictures are looked at from afar: this many pixels each way.
_SIDE = 16
_WORDS, _TOPICS = 20_000, 100
_CHUNK = 5_000


def vectors(ws: Workspace, task: Task, items: Sequence[int]) -> Floats:
    """Describe items by numbers, without a model that was trained elsewhere.

    Texts: TF-IDF of words and pairs of words, reduced to 100 dimensions by a truncated
    singular value decomposition (latent semantic analysis). Pictures: 16 by 16 grey pixels,
    from 0 to 1. Rows of a table: their numbers, standardised, and their categories one-hot.

    Parameters
    ----------
    ws : Workspace
    task : Task
    items : sequence of int
        The items' numbers.

    Returns
    -------
    numpy.ndarray of shape (items, features)
        A picture that can't be read has zeros.

    Raises
    ------
    Invalid
        The task's items are of a kind that has no vectors.
    """
    if task.kind == "image":
        return _pictures(ws, task, items)
    if task.kind == "text":
        return _texts(texts(ws, task, items))
    if task.kind == "row":
        return _table([json.loads(row.content) for row in _rows(ws, task, items)])
    raise Invalid(
        f"{task.kind} can't be told apart by numbers here",
        "only images, texts and rows have vectors of their own",
        "give a model with --model, or choose with --by random",
        code="E-LABEL-116",
    )


def texts(ws: Workspace, task: Task, items: Sequence[int]) -> list[str]:
    """The texts of items, in their order."""
    return [row.content for row in _rows(ws, task, items)]


def _rows(ws: Workspace, task: Task, items: Sequence[int]) -> list[ItemRecord]:
    found: dict[int, ItemRecord] = {}
    with ws.read() as session:
        for start in range(0, len(items), _CHUNK):
            part = [int(one) for one in items[start : start + _CHUNK]]
            wanted = (ItemRecord.task == task.id) & ItemRecord.item.in_(part)
            for row in session.scalars(select(ItemRecord).where(wanted)):
                found[row.item] = row
        session.expunge_all()
    return [found[int(one)] for one in items]


def _texts(found: list[str]) -> Floats:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    words = TfidfVectorizer(max_features=_WORDS, ngram_range=(1, 2), sublinear_tf=True)
    try:
        table = words.fit_transform(found)
    except ValueError:  # nothing but spaces
        return np.zeros((len(found), 1))
    size = min(_TOPICS, min(table.shape) - 1)
    if size < 2:
        return np.asarray(table.todense())
    topics = TruncatedSVD(size, random_state=0).fit_transform(table)
    return np.asarray(normalize(topics))


def _pictures(ws: Workspace, task: Task, items: Sequence[int]) -> Floats:
    from PIL import Image, UnidentifiedImageError

    found = np.zeros((len(items), _SIDE * _SIDE))
    rows = _rows(ws, task, items)
    packed = any(row.place == "pack" for row in rows)
    pack = ws.artifacts.open(pack_key(task.id)) if packed else io.BytesIO()
    with pack:
        for number, row in enumerate(rows):
            try:
                if row.place == "pack":
                    pack.seek(row.start)
                    content = io.BytesIO(pack.read(row.size))
                else:
                    content = io.BytesIO((ws.root / row.content).read_bytes())
                with Image.open(content) as image:
                    image.draft("L", (_SIDE, _SIDE))
                    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
                found[number] = np.asarray(small, float).ravel() / 255
            except (OSError, UnidentifiedImageError, ValueError):
                continue  # a person will see that it is broken, and skip it
    return found


def _table(rows: list[dict[str, Any]]) -> Floats:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.preprocessing import StandardScaler

    plain = [
        {
            name: float(value) if isinstance(value, int | float) else str(value)
            for name, value in row.items()
            if value is not None
        }
        for row in rows
    ]
    table = DictVectorizer(sparse=False).fit_transform(plain)
    return np.asarray(StandardScaler().fit_transform(table))
