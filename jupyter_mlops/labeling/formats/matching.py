"""Which item and which class a file means."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from jupyter_mlops.labeling.formats.faults import misfit
from jupyter_mlops.labeling.formats.labelset import Entry, LabelSet
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["Classes", "Items", "squeezed", "tag"]


class Items:
    """Finds the items of a task that a file names.

    Parameters
    ----------
    known : LabelSet
        The task with all its items.
    """

    def __init__(self, known: LabelSet) -> None:
        self.task = known.task
        self.entries = {one.item: one for one in known.entries}
        self._digests = _queues((one.digest, one) for one in known.entries)
        self._texts = _queues((one.text, one) for one in known.entries if one.text is not None)
        self._squeezed: dict[str, deque[Entry]] | None = None
        self._names: dict[str, list[Entry]] = defaultdict(list)
        self._ends: dict[str, list[Entry]] = defaultdict(list)
        for one in known.entries:
            for name in _spellings(one):
                self._names[name].append(one)
            for name in _ends(one):
                self._ends[name].append(one)

    def numbered(self, number: object, place: str) -> Entry:
        """The item of a number."""
        found = self.entries.get(number) if isinstance(number, int) else None
        if found is None:
            raise misfit(place, f"{self.task!r} has no item {number!r}")
        return found

    def digested(self, digest: str) -> Entry | None:
        """An item of that content; of several the next one that wasn't given yet."""
        return _next(self._digests, digest)

    def named(self, name: str, place: str) -> Entry:
        """The item of a file's name: its path, or as much of its end as names one item.

        A file may say more of the path than the task does, as on another machine, or less.
        """
        path = PurePosixPath(unquote(urlsplit(name).path if "://" in name else name))
        for start in range(len(path.parts)):
            tail = "/".join(path.parts[start:])
            spellings = (tail, tail.removesuffix(path.suffix))
            for known in (self._names, self._ends):
                found = next((known[one] for one in spellings if one in known), [])
                if len(found) == 1:
                    return found[0]
                if found:
                    raise misfit(
                        place,
                        f"{name!r} could be item {found[0].item} or item {found[1].item}",
                        "write more of the path",
                    )
        raise misfit(
            place, f"{self.task!r} has no item called {name!r}", closest(name, self._names)
        )

    def texted(self, text: str, place: str) -> Entry:
        """The item of a text; of several with the same the next one that wasn't given yet."""
        found = _next(self._texts, text)
        if found is None:
            raise misfit(place, f"{self.task!r} has no such text: {text[:40]!r}")
        return found

    def spelled(self, characters: str, place: str) -> Entry:
        """The item whose text has these characters, white space left out."""
        if self._squeezed is None:
            self._squeezed = _queues(
                (squeezed(one.text), one) for one in self.entries.values() if one.text is not None
            )
        found = _next(self._squeezed, characters)
        if found is None:
            raise misfit(place, f"{self.task!r} has no text that begins {characters[:40]!r}")
        return found


class Classes:
    """Finds the classes that a file names, spelled as here or as a format must spell them."""

    def __init__(self, classes: Iterable[str]) -> None:
        self.names = tuple(classes)
        self._known = set(self.names)
        self._tags: dict[str, list[str]] = defaultdict(list)
        for one in self.names:
            self._tags[tag(one)].append(one)

    def find(self, label: object, place: str) -> str:
        """The class that is meant."""
        if isinstance(label, str):
            if label in self._known:
                return label
            found = self._tags.get(tag(label), [])
            if len(found) == 1:
                return found[0]
        raise misfit(
            place,
            f"{label!r} is no class of the task",
            closest(str(label), self.names) or f"the classes are {', '.join(self.names[:12])}",
        )

    def tags(self, format: str) -> dict[str, str]:
        """The classes' spellings without white space, which must stay distinct."""
        for spelled, names in self._tags.items():
            if len(names) > 1 or not spelled:
                raise Invalid(
                    f"the classes can't be written as {format}",
                    f"{' and '.join(map(repr, names))} would be spelled {spelled!r}",
                    "export JSON lines, which keep them apart",
                    code="E-LABEL-302",
                )
        return {names[0]: spelled for spelled, names in self._tags.items()}


def tag(label: str) -> str:
    """A label without white space.

    Examples
    --------
    >>> tag("body  part")
    'body_part'
    """
    return re.sub(r"\s+", "_", label.strip())


def squeezed(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())


def _spellings(entry: Entry) -> set[str]:
    full = {name for name in (entry.name, entry.content, entry.key) if name}
    return full | {str(PurePosixPath(name).with_suffix("")) for name in full if _path(name)}


def _ends(entry: Entry) -> set[str]:
    """The ends of an item's path, with and without its ending."""
    parts = PurePosixPath(entry.name).parts
    ends = {"/".join(parts[start:]) for start in range(1, len(parts))}
    return ends | {one.removesuffix(PurePosixPath(one).suffix) for one in ends}


def _path(name: str) -> bool:
    return bool(PurePosixPath(name).suffix)


def _queues(pairs: Iterable[tuple[str | None, Entry]]) -> dict[str, deque[Entry]]:
    found: dict[str, deque[Entry]] = defaultdict(deque)
    for name, entry in pairs:
        if name is not None:
            found[name].append(entry)
    return found


def _next(queues: dict[str, deque[Entry]], name: str) -> Entry | None:
    """The first of a queue, which then goes to its end."""
    queue = queues.get(name)
    if not queue:
        return None
    found = queue[0]
    queue.rotate(-1)
    return found
