"""Verbs that label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.labeling.kinds import Answer, Kind
from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.labeling import Export, Import, Queue, Tasks, TaskState
    from jupyter_mlops.workspace import Workspace


@verb("label", writes=True)
def label(
    ws: Workspace,
    task: str,
    data: Data | None = None,
    *,
    kind: Kind | None = None,
    answer: Answer | None = None,
    classes: list[str] | None = None,
    fps: float | None = None,
    column: str | None = None,
    key: str | None = None,
    overlap: int | None = None,
    scale: str | None = None,
    requeue: Literal["never", "me", "others"] | None = None,
    guideline: str | None = None,
    due: str | None = None,
    contract: str | None = None,
    from_: str | None = None,
    pick: list[str] | None = None,
    count: int = 50,
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
    fps : float
        Frames a second by which the tracks of a film are counted; 25 when left out.
    column : str
        The column to show, when more than one could be meant; for a row or a pair, names
        with commas between them.
    key : str
        A column that names the row, to join labels by.
    overlap : int
        How many people answer each row, without seeing each other's answers.
    scale : str
        The lowest and the highest rating, such as 1-5.
    requeue : str
        Who sees a skipped row again when the person who skips doesn't say.
    guideline : str
        What the classes mean, in Markdown.
    due : str
        The last day on which the labels are in time, such as 2026-12-31.
    contract : str
        A contract that the rows must keep, or none of them is put in the queue.
    from_ : str
        An endpoint (endpoint:NAME) whose served rows are labelled instead of data; the same
        line again adds rows that were served since. `feedback NAME --labels TASK` takes the
        labels back as truth.
    pick : list of str
        Which of them: strange, uncertain or drifted; the first two when left out.
    count : int
        How many of them.
    wait : bool
        Go on only when every row is labelled or skipped.

    Examples
    --------
    >>> %mlops label remarks {frame} --kind text --column remark --classes weather,crew,other
    >>> %mlops label faces {photos} --kind image --answer boxes --classes face
    >>> %mlops label odd --from endpoint:delay --pick strange,uncertain --count 40
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
    if from_ is not None and data is not None:
        raise Invalid(
            "rows to label come from data or from an endpoint, not from both",
            fix="leave the data out, or --from",
            code="E-LABEL-041",
        )
    given = {
        "overlap": overlap,
        "scale": scale,
        "requeue": requeue,
        "guideline": guideline,
        "fps": fps,
        "due": due,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    if from_ is not None:
        from jupyter_mlops.monitoring.asking import ask_people

        ways: Any = pick or ("strange", "uncertain")
        endpoint = from_.removeprefix("endpoint:")
        ask_people(ws, task, endpoint, ways, count, classes=classes, settings=settings)
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
            settings=settings,
            column=column,
            key=key,
        )
    if data is None and from_ is None:
        labeling.same_rules(ws, labeling.get(ws, task), settings)
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
    column: str | None = None,
    item: str | None = None,
    key: str | None = None,
    format: str | None = None,
    keep_people: bool = False,
) -> TaskState | Import:
    """Label items from a column of a table, or from files of another tool.

    For labels that exist already, for rules, and for notebooks that run without a person.
    The same import again changes nothing.

    Parameters
    ----------
    task : str
        The task.
    data : Data
        A file, folder or ZIP archive of labels; or, with `column`, the table with the labels.
        Without `item` and `key` that has a row for each item, in the task's order. Rows with
        an empty label are left out.
    column : str
        The column with the labels.
    item : str
        The column with the items' numbers.
    key : str
        The column with the items' keys.
    format : str
        How the files are written: jsonl, csv, coco, yolo, voc, conll, spacy, label-studio,
        doccano, prodigy, audacity, cvat, cvat-video or mot; found out when left out.
    keep_people : bool
        Let the people whom the files name be those who say it, which only the task's owner
        may; otherwise whoever imports them says it. JSON lines then bring the task's rules,
        guidelines, roles, suggestions and audit along, unless somebody has labelled already.

    Examples
    --------
    >>> %mlops label import digits {frame} --column truth
    >>> %mlops label import cats exports/annotations.json --format coco
    >>> %mlops label import cats cats.jsonl --keep-people
    """
    from jupyter_mlops import data as room
    from jupyter_mlops import labeling
    from jupyter_mlops.workspace import Invalid

    if column is None:
        if not isinstance(data, str):
            raise Invalid(
                "a table has its labels in a column",
                fix="name it with --column",
                code="E-LABEL-324",
            )
        if item is not None or key is not None:
            raise Invalid(
                "--item and --key are columns of a table",
                fix="name the column with the labels as well, with --column",
                code="E-LABEL-325",
            )
        return labeling.import_file(ws, task, data, format, keep_people=keep_people)
    table = room.resolve(ws, data)
    return labeling.import_labels(ws, task, table, column, item=item, key=key)


@verb("label export", writes=True)
def label_export(
    ws: Workspace,
    task: str,
    *,
    to: str | None = None,
    format: str | None = None,
    media: bool = False,
) -> Export:
    """Take the labels out, as a frame and into files if a place is named.

    What is labelled now becomes a version of the task's label set, unless it is one already;
    `train --labels TASK@N` trains on it. JSON lines lose nothing. Who is no reviewer isn't
    given what others said of items that this person has still to label.

    Parameters
    ----------
    task : str
        The task.
    to : str
        A file, a folder or a ZIP archive below the workspace's folder. One that ends in .csv
        holds the labels, one in .jsonl every decision.
    format : str
        How to write them: jsonl, csv, coco, yolo, voc, conll, spacy, label-studio, doccano,
        prodigy, audacity, cvat, cvat-video or mot.
    media : bool
        Write the images, sounds or films beside the labels.

    Examples
    --------
    >>> labels = %mlops label export digits --to digits.csv
    >>> labels.frame
    >>> %mlops label export cats --format yolo --to cats.zip --media
    """
    from jupyter_mlops import labeling

    return labeling.export(ws, task, to, format, media=media)
