"""Label sets: what a task's labels were at a time, as a dataset with versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from jupyter_mlops.data.datasets import Dataset, add
from jupyter_mlops.data.datasets import get as get_dataset
from jupyter_mlops.data.sources.frames import FrameSource
from jupyter_mlops.data.tables import Table
from jupyter_mlops.labeling.formats import LabelSet, manifest
from jupyter_mlops.labeling.formats.sheet import COLUMNS, row
from jupyter_mlops.labeling.labelsets import agreed, take
from jupyter_mlops.labeling.tasks import find, get
from jupyter_mlops.workspace.errors import Invalid, NotFound
from jupyter_mlops.workspace.references import Reference

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["PREFIX", "label_set", "table_of", "version"]

#: Label sets share their names with no other dataset.
PREFIX = "labels."

_TYPES: dict[str, Any] = {
    "item": pl.Int64,
    "key": pl.String,
    "label": pl.String,
    "person": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "digest": pl.String,
    "content": pl.String,
}


class _Labels(FrameSource):
    """Labels as rows, and what a manifest says of them."""

    def __init__(self, labels: LabelSet, about: dict[str, Any]) -> None:
        super().__init__(table_of(labels), f"label:{labels.task}")
        self._about = about

    def provenance(self) -> dict[str, Any]:
        return self._about


def table_of(labels: LabelSet) -> pl.DataFrame:
    """The labels that stand, a row each, in the order of the data.

    A label that is no plain text is JSON; an empty time is one that nobody noted.
    """
    rows = [row(entry, labels.answer) for entry in labels.labelled()]
    rows = [tuple(str(one) if n == 2 else one for n, one in enumerate(line)) for line in rows]
    return pl.DataFrame(rows, schema={name: _TYPES[name] for name in COLUMNS}, orient="row")


def version(ws: Workspace, labels: LabelSet) -> Dataset | None:
    """Keep labels as a version of their task's label set; the same labels are the same version.

    Returns
    -------
    Dataset or None
        ``data:labels.TASK@N``; None when nothing is labelled.
    """
    if not any(True for _ in labels.labelled()):
        return None
    task = get(ws, labels.task)
    about = manifest.about(labels, agreed(ws, task))
    inputs = [task.ref, *([task.data_ref] if task.data_ref else [])]
    table = Table(_Labels(labels, about), inputs=inputs)
    return add(ws, PREFIX + task.name, table, key="item")


def label_set(ws: Workspace, name: str) -> Dataset:
    """The label set that a name means, as a dataset.

    Parameters
    ----------
    ws : Workspace
    name : str
        ``tickets@2`` is a version; ``tickets`` are the task's labels as they are now, which
        become a version if they aren't one.

    Raises
    ------
    NotFound, Invalid
        There is no such task or version, or nothing is labelled.

    Examples
    --------
    >>> label_set(ws, "tickets@2")  # doctest: +SKIP
    <Dataset data:labels.tickets@2: 800 rows × 7 columns>
    """
    text = name.strip().removeprefix("data:").removeprefix(PREFIX)
    ref = Reference.parse(text, kind="label")
    if ref.version is None:
        task = get(ws, ref.name)
        made = version(ws, take(ws, task))
        if made is None:
            raise Invalid(
                f"{task.name!r} has no labels yet",
                f"its {task.counts.total:,} items wait for a person",
                f"`%mlops label {task.name}` labels them",
                code="E-LABEL-317",
            )
        return made
    try:
        return get_dataset(ws, f"data:{PREFIX}{ref.name}@{ref.version}")
    except NotFound:
        found = find(ws, ref.name)
        if found is None:
            get(ws, ref.name)  # which names the closest task
        raise NotFound(
            f"the labels of {ref.name!r} have no version {ref.version}",
            fix=f"`%mlops label export {ref.name}` makes one of what is labelled now",
            code="E-LABEL-318",
        ) from None
