"""``jupyter mlops``: the command table in a shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from jupyter_mlops.verbs.doctor import Diagnosis
from jupyter_mlops.verbs.help import Commands, Help, help_on
from jupyter_mlops.verbs.line import Line, parse
from jupyter_mlops.verbs.place import workspace_for
from jupyter_mlops.verbs.progress import Lines, shown_by
from jupyter_mlops.workspace.errors import Conflict, Invalid, MLOpsError

__all__ = ["main"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the shell's exit code.

    0 is success, 1 a failure whose reason is on standard error, 2 a line that makes no
    sense, 130 an interrupt.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except MLOpsError as error:
        print(f"error: {error}", file=sys.stderr)
        misread = error.code.startswith(("E-LINE-", "E-VERB-", "E-CLI-"))
        return USAGE if misread else FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `jupyter mlops runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    if words and words[0] in {"--version", "-V"}:
        from jupyter_mlops import __version__

        print(__version__)
        return 0
    if words and words[0] in {"--help", "-h"}:
        words = ["help", *words[1:]]
    path = _take_workspace(words)
    if words[:2] == ["agent", "run"] and "--help" not in words:
        return _run_agent(words[2:], path)
    line = parse(_read_body(words))
    if line.output is not None:
        raise Invalid(
            "-o names a notebook's variable",
            fix="redirect the output instead: jupyter mlops … --json > result.json",
            code="E-CLI-001",
        )
    with shown_by(Lines(_tell), partial=False) if not line.quiet else nullcontext():
        result = help_on(line.verb) if line.help else line.call(workspace_for(line.verb, path))
    if not line.quiet:
        print(_shown(result, line))
    return 0


def _tell(text: str) -> None:
    """A long command's progress, apart from what it prints."""
    print(text, file=sys.stderr, flush=True)


def _take_workspace(words: list[str]) -> str | None:
    """Take ``--workspace DIR`` out of the words, wherever it stands."""
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        option, equals, attached = word.partition("=")
        if option != "--workspace":
            continue
        if equals:
            del words[at]
            return attached
        if at + 1 == end:
            raise Invalid("--workspace needs a folder", code="E-CLI-002")
        path = words[at + 1]
        del words[at : at + 2]
        return path
    return None


def _read_body(words: list[str]) -> list[str]:
    """A lone ``-`` at the end means that the body comes from standard input."""
    return [*words[:-1], "--file=-"] if words and words[-1] == "-" else words


def _shown(result: Any, line: Line) -> str:
    from jupyter_mlops.views import view
    from jupyter_mlops.views.text import render_text

    shown = view(result)
    if line.json:
        return shown.model_dump_json()
    if isinstance(result, Commands | Help | Diagnosis):
        # A terminal scrolls: all of it, and not the fifteen lines of a cell.
        return render_text(shown, limit=1000)
    return render_text(shown)


def _run_agent(rest: list[str], path: str | None) -> int:
    """Be the workspace's agent until stopped."""
    if rest:
        raise Invalid(
            f"`agent run` takes no {rest[0]!r}",
            fix="usage: jupyter mlops agent run [--workspace DIR]",
            code="E-CLI-003",
        )
    from jupyter_mlops import agent
    from jupyter_mlops.workspace import Workspace

    if not agent.run(Workspace.open(path)):
        raise Conflict(
            "another agent is at work",
            fix="`jupyter mlops agent` says where",
            code="E-AGENT-030",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
