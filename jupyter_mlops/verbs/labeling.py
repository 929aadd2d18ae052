"""Verbs that label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.labeling import Export, Queue, Tasks, TaskState
    from jupyter_mlops.workspace import Workspace


@verb("label", writes=True)
def label(
    ws: Workspace,
    task: str,
    data: Data | None = None,
    *,
    kind: Literal["image", "text", "audio", "video", "row", "pair"] | None = None,
    answer: Literal[
        "class",
        "classes",
        "rating",
        "text",
        "pairwise",
        "boxes",
        "polygons",
        "keypoints",
        "spans",
        "regions",
        "segments",
        "tracks",
    ]
    | None = None,
    classes: list[str] | None = None,
    scale: str | None = None,
    guideline: str | None = None,
    fps: float | None = None,
    column: str | None = None,
    key: str | None = None,
    contract: str | None = None,
    wait: bool = False,
) -> TaskState:
    """Label the rows of a table, one key a label.

    In a notebook this opens the labeler; where nobody watches, as under papermill, it shows
    how far the task is and goes on. The same line again goes on where it was.

    Parameters
    ----------
    task : str
        What the task is called.
    data : Data
        The rows to label; not needed for a task that is there already. A stack of images as
        an array will do as well.
    kind : str
        How a row is shown. Images are bytes, arrays of pixels, or paths below the
        workspace's folder; sounds and films are bytes or paths; a pair is two columns of
        texts or images.
    answer : str
        What is said about a row: a class when left out, or which of a pair is better.
    classes : list of str
        The labels to choose from; the first ten get the digits as keys. A rating, a text
        and a choice of two need none.
    scale : str
        The lowest and the highest rating, as 1-5.
    guideline : str
        What people are to keep to, in Markdown; shown beside each row.
    fps : float
        Frames a second by which the tracks of a film are counted; 25 when left out.
    column : str
        The column to show, when more than one could be meant; for a row or a pair, names
        with commas between them.
    key : str
        A column that names the row, to join labels by.
    contract : str
        A contract that the rows must keep, or none of them is put in the queue.
    wait : bool
        Go on only when every row is labelled or skipped.

    Examples
    --------
    >>> %mlops label remarks {frame} --kind text --column remark --classes weather,crew,other
    >>> %mlops label faces {photos} --kind image --answer boxes --classes face
    >>> %mlops label digits
    """
    from jupyter_mlops import data as room
    from jupyter_mlops import labeling
    from jupyter_mlops.labeling.widgets import show
    from jupyter_mlops.workspace import Invalid

    if contract is not None and data is None:
        raise Invalid(
            "--contract needs the rows to check",
            fix="name them after the task",
            code="E-LABEL-040",
        )
    if data is not None:
        table = room.resolve(ws, labeling.pictures(data))
        if contract is not None:
            from jupyter_mlops.profiling import contracts

            # Rows that wait for their labels are as they are at serving.
            contracts.enforce(ws, contract, table, "serving")
        labeling.create(
            ws,
            task,
            table,
            kind,
            classes,
            answer=answer,
            settings=labeling.shown_settings(scale, guideline, fps),
            column=column,
            key=key,
        )
    return show(ws, task, wait=wait)


@verb("label status")
def label_status(ws: Workspace, task: str | None = None) -> TaskState | Tasks:
    """Show how far a labeling task is, or all of them.

    Parameters
    ----------
    task : str
        The task; all when left out.

    Examples
    --------
    >>> %mlops label status digits
    """
    from jupyter_mlops import labeling

    return labeling.list_tasks(ws) if task is None else labeling.status(ws, task)


@verb("label next")
def label_next(ws: Workspace, task: str, *, count: int = 10) -> Queue:
    """Show which items come next; none of them is taken out of the queue.

    Parameters
    ----------
    task : str
        The task.
    count : int
        How many, 200 at the most.

    Examples
    --------
    >>> %mlops label next digits --count 5
    """
    from jupyter_mlops import labeling

    return labeling.upcoming(ws, task, count)


@verb("label import", writes=True)
def label_import(
    ws: Workspace,
    task: str,
    data: Data,
    *,
    column: str,
    item: str | None = None,
    key: str | None = None,
) -> TaskState:
    """Label items from a column of a table.

    For labels that exist already, for rules, and for notebooks that run without a person.
    The same import again changes nothing.

    Parameters
    ----------
    task : str
        The task.
    data : Data
        The table with the labels. Without `item` and `key` it has a row for each item, in
        the task's order. Rows with an empty label are left out.
    column : str
        The column with the labels.
    item : str
        The column with the items' numbers.
    key : str
        The column with the items' keys.

    Examples
    --------
    >>> %mlops label import digits {frame} --column truth
    """
    from jupyter_mlops import data as room
    from jupyter_mlops import labeling

    table = room.resolve(ws, data)
    return labeling.import_labels(ws, task, table, column, item=item, key=key)


@verb("label export", writes=True)
def label_export(ws: Workspace, task: str, *, to: str | None = None) -> Export:
    """Take the labels out, as a frame and into a file if one is named.

    Parameters
    ----------
    task : str
        The task.
    to : str
        A file below the workspace's folder that ends in .csv (the labels) or .jsonl (with
        every decision).

    Examples
    --------
    >>> labels = %mlops label export digits --to digits.csv
    >>> labels.frame
    """
    from jupyter_mlops import labeling

    return labeling.export(ws, task, to)
