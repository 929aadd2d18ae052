"""Work that was left to the agent: a process for each piece, begun again when it dies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Transaction, Workspace

__all__ = ["Detached", "Kind", "Piece"]

_LOOK: Final = 1.0
_FIRST, _LONGEST = 1.0, 60.0
#: Runs that end one after the other without getting anything done before a piece is given up.
_FRUITLESS: Final = 6


@dataclass(frozen=True)
class Piece:
    """A piece of work that should be done, as the store knows it.

    Attributes
    ----------
    key : str
        Names it among its kind.
    name : str
        Names its log file.
    process : str
        Who does it, as far as was recorded; empty for nobody.
    begun : bool
        Whether somebody began it since it was asked for.
    done : int
        What got done so far, counted in whatever it consists of.
    restarts : int
        Runs since something got done.
    error : str
        Why the last run ended, where that was recorded.
    """

    key: str
    name: str
    process: str
    begun: bool
    done: int
    restarts: int
    error: str = ""


class Kind(Protocol):
    """One kind of work: what of it should be done, by which program, and what is recorded."""

    #: What its log files begin with.
    called: str
    #: What a fruitless run lacks, as a person would say it.
    fruit: str
    #: The module that is run, as ``python -m``.
    module: str

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        """All that should be done and isn't."""

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        """What the module is told."""

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        """Record how often it was begun again; False when it is no longer wanted."""

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        """Record that it failed for good, unless it is no longer wanted, and emit the event."""


class Detached:
    """Starts and watches the processes of detached work.

    They go on when the agent ends; the next one finds them by what the store says. What gets
    something done is begun again however often it dies; what doesn't is given up.

    Parameters
    ----------
    ws : Workspace
    kinds : sequence of Kind
    """

    def __init__(self, ws: Workspace, kinds: Sequence[Kind]) -> None:
        self.ws = ws
        self.kinds = kinds
        self.busy = False
        self._children: dict[tuple[str, str], Known] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._done: dict[tuple[str, str], int] = {}
        self._looked = 0.0

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        wanted = [(kind, piece) for kind in self.kinds for piece in kind.pieces(self.ws)]
        self.busy = bool(wanted)
        for kind, piece in wanted:
            key = (kind.called, piece.key)
            child = self._children.get(key)
            if child is not None and child.alive():
                continue
            if piece.process and may_live(piece.process):
                continue
            if now >= self._due.get(key, 0.0):
                self._start(kind, piece, now)

    def _start(self, kind: Kind, piece: Piece, now: float) -> None:
        key = (kind.called, piece.key)
        log = self.ws.home / "logs" / f"{kind.called}-{piece.name}.log"
        again = piece.begun or key in self._children
        fruitful = piece.done > self._done.get(key, -1)
        restarts = 0 if fruitful else piece.restarts + int(again)
        self._done[key] = piece.done
        if restarts >= _FRUITLESS:
            reason = f"its process ended {_FRUITLESS} times without {kind.fruit}"
            said = piece.error or last_line(log)
            with self.ws.write("agent") as tx:
                kind.give_up(tx, piece, f"{reason}; its last words: {said}" if said else reason)
            return
        with self.ws.write("agent") as tx:
            if not kind.note(tx, piece, restarts):
                return
        try:
            arguments = kind.arguments(self.ws, piece)
            self._children[key] = launch(kind.module, arguments, log, self.ws.root)
        finally:
            # Each attempt waits twice as long as the one before.
            self._due[key] = now + min(_LONGEST, _FIRST * 2.0**restarts)
