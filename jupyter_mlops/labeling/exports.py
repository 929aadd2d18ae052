"""Labels taken out: as a frame, a version of the task's label set, and files of any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_mlops.labeling.formats import (
    Format,
    LabelSet,
    Written,
    by_ending,
    find,
    fitting,
    manifest,
    write_files,
)
from jupyter_mlops.labeling.labelsets import agreed, take
from jupyter_mlops.labeling.media import open_media
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.labeling.versions import table_of, version
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.workspace import Workspace

__all__ = ["Export", "export", "labels"]


@dataclass(frozen=True)
class Export(Result):
    """Labels that were taken out.

    `frame` holds them; `version` is the label set's version that they are, None when nothing is
    labelled; `path` the file or folder, if one was written, in `format`; `notes` what the
    format can't hold.
    """

    task: Task
    frame: pd.DataFrame
    path: str | None
    format: str
    version: str | None = None
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def labels(ws: Workspace, name: str) -> pd.DataFrame:
    """The current label of each labelled item.

    Returns
    -------
    pandas.DataFrame
        Columns ``item`` (the row's number in the data, from 0), ``key`` (the row's name, if
        the task has a key column), ``label`` (JSON unless it is a plain text), ``person``,
        ``at`` (UTC), ``digest`` (SHA-256 of the content) and ``content`` (the text, or the
        file's path); one row a labelled item, in the order of the data.
    """
    return _frame(take(ws, get(ws, name), blind=True))


def export(
    ws: Workspace,
    name: str,
    to: str | None = None,
    format: str | None = None,
    *,
    media: bool = False,
) -> Export:
    """Take the labels out, into files if a place is named.

    What is labelled now becomes a version of the task's label set, ``label:NAME@N``, unless
    it is one already. Somebody who is no reviewer isn't given what others said of items that
    this person has still to label.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    to : str, optional
        A file, a folder, or a ZIP archive (``.zip``) below the workspace's folder.
    format : str, optional
        One of `formats.FORMATS`; the file's ending says it when it can only mean one.
    media : bool
        Write the images, sounds or films as well, where the format looks for them.

    Raises
    ------
    Invalid
        The format can't hold these labels, or the file's place won't do.
    Conflict
        The folder holds files of other labels.
    """
    task = get(ws, name)
    if to is None:
        if format is not None:
            raise Invalid(
                "an export has a format when it is written to a file",
                fix="name the file with --to",
                code="E-LABEL-319",
            )
        found = take(ws, task, blind=True)
        done = Export(task, _frame(found), None, "", _version(ws, found), notes=_blind(found))
        _tell(ws, done)
        return done
    path = _place(to, ws)
    chosen = _chosen(path, task, format)
    found = take(ws, task, waiting=chosen.whole, measure=chosen.measures, blind=True)
    written = chosen.write(found)
    notes = (*written.notes, *_blind(found))
    _check_shape(path, chosen, written, media)
    ref = _version(ws, found)
    about = manifest.manifest(
        found,
        chosen.name,
        written.files,
        version=ref,
        notes=notes,
        agreement=agreed(ws, task),
    )
    contents: dict[str, bytes | Callable[[], bytes]] = {**written.files, manifest.NAME: about}
    if media:
        contents |= _media(ws, task, found, chosen)
    paths = write_files(path, contents)
    shown = path if path.is_dir() else paths[0]
    files = tuple(str(one) for one in paths)
    done = Export(task, _frame(found), str(shown), chosen.name, ref, files, notes)
    _tell(ws, done)
    return done


def _version(ws: Workspace, found: LabelSet) -> str | None:
    # What somebody may see of the labels is no version of them.
    made = None if found.withheld else version(ws, found)
    return None if made is None else made.ref


def _blind(found: LabelSet) -> tuple[str, ...]:
    """What is left out for the sake of people who have still to say what they think."""
    if not found.withheld:
        return ()
    return (
        f"{found.withheld:,} items are left out which you have still to label; "
        "reviewers see what others said of them.",
    )


def _tell(ws: Workspace, done: Export) -> None:
    """Who took which labels out, and where to."""
    with ws.write() as tx:
        tx.emit(
            "label.exported",
            done.task.ref,
            payload={
                "labels": len(done.frame),
                "format": done.format or "frame",
                "to": str(Path(done.path).relative_to(ws.root.resolve())) if done.path else None,
            },
            inputs=[done.task.ref],
            outputs=[done.version] if done.version else [],
        )


def _frame(labels: LabelSet) -> pd.DataFrame:
    frame: pd.DataFrame = table_of(labels).to_pandas()
    return frame.astype(dict.fromkeys(("key", "label", "person", "content"), object))


def _place(to: str, ws: Workspace) -> Path:
    """The file that is meant. A browser may ask for it as well, so it stays in the workspace."""
    root = ws.root.resolve()
    here = Path.cwd().resolve()
    path = ((here if here.is_relative_to(root) else root) / to).resolve()
    if not path.is_relative_to(root) or path == root or path.is_relative_to(ws.home.resolve()):
        raise Invalid(
            f"labels can't be written to {to}",
            f"it isn't among the files of {root}",
            "name a file below that folder, or use the result's .frame",
            code="E-LABEL-032",
        )
    return path


def _chosen(path: Path, task: Task, format: str | None) -> Format:
    """The format that is named, or that the file's ending means."""
    if format is not None:
        return find(format)
    found = by_ending(path.suffix, task.kind, task.answer)
    if found is None:
        able = fitting(task.kind, task.answer)
        raise Invalid(
            f"which format {path.name!r} should have isn't clear",
            f"{task.answer} of {task.kind}s can be written as {', '.join(able)}",
            "name one with --format, or end the name in .csv or .jsonl",
            code="E-LABEL-017",
        )
    return found


def _check_shape(path: Path, format: Format, written: Written, media: bool) -> None:
    """A file is one file, and a folder is no file."""
    if not path.suffix or path.suffix.lower() == ".zip":
        return
    main = [one for one in written.files if Path(one).suffix in format.endings]
    count = len(main if format.endings else written.files)
    if media or count != 1:
        raise Invalid(
            f"{path.name!r} would be one file",
            "media lie in a folder beside their labels"
            if media
            else f"these labels are {count:,} files in {format.title}'s format",
            "name a folder, or a file that ends in .zip",
            code="E-LABEL-320",
        )


def _media(
    ws: Workspace, task: Task, found: LabelSet, format: Format
) -> dict[str, Callable[[], bytes]]:
    """The labelled items' media by the paths where the format looks for them."""
    folder = "" if format.media in {"", "."} else f"{format.media}/"

    def read(item: int) -> bytes:
        return open_media(ws, task.id, item).read()

    return {
        f"{folder}{entry.name}": partial(read, entry.item)
        for entry in found.labelled()
        if entry.text is None
    }
