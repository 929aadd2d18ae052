"""Completion behind ``%mlops``: commands, flags, choices, and the names that records have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from jupyter_mlops.magics.columns import columns
from jupyter_mlops.verbs.table import Parameter, Verb, all_verbs
from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["add_completion", "candidates"]

LIMIT = 200
_LINE = re.compile(r"^\s*(?:[\w.,\s]+=\s*)?%{1,2}mlops(?P<rest>\s.*)$")
_FACE = ("--json", "--quiet", "--help", "-o")
_FRAMES = {"DataFrame", "LazyFrame"}
# What the parameters of that name refer to.
_REFERS = {
    "endpoint": "endpoint",
    "model": "model",
    "run": "run",
    "a": "run",
    "b": "run",
    "task": "label",
    "ref": "drift",
    "contract": "contract",
}
# And what a plain NAME is, in the commands that show a record.
_SHOWS = {"data show": "data", "runs": "run", "models": "model", "endpoints": "endpoint"}
_SHOWS |= {"data split": "data"}


def add_completion(shell: InteractiveShell) -> None:
    """Add the matcher to a shell's completer; does nothing when it is there already."""
    completer = shell.Completer
    if completer is None:
        return

    @context_matcher(identifier="mlops")  # type: ignore[untyped-decorator]
    def mlops_matcher(context: CompletionContext) -> SimpleMatcherResult:
        return _match(context, shell.user_ns)

    matchers = completer.custom_matchers
    ours = [one for one in matchers if getattr(one, "matcher_identifier", "") == "mlops"]
    for one in ours:  # the extension was loaded before
        matchers.remove(one)
    matchers.append(mlops_matcher)


def _match(context: CompletionContext, namespace: dict[str, Any]) -> SimpleMatcherResult:
    found = _LINE.match(context.text_until_cursor)
    if found is None:
        return {"completions": [], "suppress": False}
    words = found["rest"].split()
    current = "" if found["rest"][-1].isspace() else words.pop()
    token = context.token if current.endswith(context.token) else ""
    # IPython cuts tokens at ':' and '@', which references hold: complete what is behind them.
    ahead = len(current) - len(token)
    matches = [
        SimpleCompletion(one[ahead:], type="mlops")
        for one in candidates(words, current, namespace)
        if one.startswith(current)
    ]
    return {
        "completions": matches,
        "suppress": bool(matches),
        "matched_fragment": token,
        "ordered": True,
    }


def candidates(words: list[str], current: str, namespace: dict[str, Any]) -> list[str]:
    """What may stand at the cursor.

    Parameters
    ----------
    words : list of str
        The words before the one at the cursor.
    current : str
        That word, as far as it is written.
    namespace : dict
        The kernel's variables, for ``{frame}``.
    """
    verb, rest = _verb(words)
    if verb is None:
        return _heads(words)
    more = [] if rest else _heads([verb.name])
    flags = {one.option: one for one in verb.arguments if one.flag}
    taken = _positions(rest, flags)
    if rest and rest[-1] in flags and flags[rest[-1]].kind != "switch":
        flag = flags[rest[-1]]
        return _values(verb, flag, namespace) or columns(verb, flag, taken, current, namespace)
    if current.startswith("-"):
        option, equals, _ = current.partition("=")
        if equals and option in flags:
            return [f"{option}={value}" for value in _values(verb, flags[option], namespace)]
        face = (*_FACE, "--file") if verb.body is not None else _FACE
        return [one for one in (*flags, *face) if one not in rest]
    positions = [one for one in verb.arguments if not one.flag]
    if len(taken) < len(positions):
        place = positions[len(taken)]
        found = _values(verb, place, namespace)
        return [*more, *(found or columns(verb, place, taken, current, namespace))]
    return more


def _verb(words: list[str]) -> tuple[Verb | None, list[str]]:
    verbs = all_verbs()
    for count in (2, 1):
        found = verbs.get(" ".join(words[:count])) if len(words) >= count else None
        if found is not None:
            return found, words[count:]
    return None, []


def _heads(words: list[str]) -> list[str]:
    """The words that may follow the first ones of a command."""
    start = "".join(word + " " for word in words)
    names = (name[len(start) :] for name in all_verbs() if name.startswith(start))
    return sorted({name.split()[0] for name in names})


def _positions(rest: list[str], flags: dict[str, Parameter]) -> list[str]:
    """The words that stand for arguments."""
    taken = []
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word in flags:
            skip = flags[word].kind != "switch"
        elif word in {"-o", "--out"}:
            skip = True
        elif not word.startswith("-"):
            taken.append(word)
    return taken


def _values(verb: Verb, parameter: Parameter, namespace: dict[str, Any]) -> list[str]:
    if parameter.choices:
        return list(parameter.choices)
    if parameter.kind == "data":
        frames = [
            f"{{{name}}}"
            for name, value in namespace.items()
            if type(value).__name__ in _FRAMES and not name.startswith("_")
        ]
        both = _names("contract") if verb.name == "contract" and not parameter.flag else []
        return list(dict.fromkeys([*_names("data"), *both, *sorted(frames)]))
    kind = _REFERS.get(parameter.name)
    group = verb.name.partition(" ")[0]
    if parameter.name == "name":
        kind = _SHOWS.get(verb.name)
    if group == "contract" and parameter.name in {"name", "a", "b", "save"}:
        kind = "contract"
    if group == "profile" and parameter.name in {"ref", "against"}:
        kind = "profile"
    return _names(kind) if kind else []


def _names(kind: str) -> list[str]:
    """The names of records of a kind, the ones that changed last first."""
    from sqlalchemy import func, select

    from jupyter_mlops.workspace import Workspace
    from jupyter_mlops.workspace.records import EventRecord

    newest = func.max(EventRecord.seq)
    query = (
        select(EventRecord.subject)
        .where(EventRecord.subject.startswith(f"{kind}:", autoescape=True))
        .group_by(EventRecord.subject)
        .order_by(newest.desc())
        .limit(LIMIT)
    )
    try:
        with Workspace.open(create=False).read() as session:
            subjects: Iterable[str] = session.scalars(query).all()
    except MLOpsError:  # no workspace, or none that answers: there is nothing to offer
        return []
    names = [subject.partition(":")[2] for subject in subjects]
    return list(dict.fromkeys([name.partition("@")[0] for name in names] + names))
