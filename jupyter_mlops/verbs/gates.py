"""Verbs that judge versions, approve and promote them, and go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Body, File, Rest, verb

if TYPE_CHECKING:
    from jupyter_mlops.models import Approval, Promotion
    from jupyter_mlops.models.cards import ModelCard
    from jupyter_mlops.models.gates import Evidence, GateCheck, Gates
    from jupyter_mlops.workspace import Workspace


@verb("gate", writes=True)
def gate(
    ws: Workspace, model: str, gates: Rest = "", body: Body = "", *, clear: bool = False
) -> Gates | GateCheck:
    """Set what a model's versions must show before they are promoted, or hold one against it.

    Each gate is an expression: `auc > 0.8`, `log_loss < champion.log_loss - 0.002 (95%, paired
    by day)`, `slices.min(auc, by=carrier) > 0.7`, `latency.p99 < 20ms`, `contract`, `verified`,
    `approved`, `approved by other`. With a percentage the whole interval must hold; `paired by`
    names columns whose values form groups of rows. `name:` before a gate names it. The gates of
    the line, or of the cell below it, take the place of all that were there. Without any, the
    version's gates are answered.

    Parameters
    ----------
    model : str
        Its name to set gates; delay@3, or a name for its newest version, to answer them.
    gates : str
        One or more, one after another.
    clear : bool
        Take all gates away.

    Examples
    --------
    >>> %mlops gate delay auc > 0.8 contract approved by other
    >>> %mlops gate delay@3
    """
    from jupyter_mlops.models.gates import check, clear_gates, set_gates
    from jupyter_mlops.workspace import Invalid

    text = "\n".join(part for part in (gates, body) if part.strip())
    if clear and text:
        raise Invalid(
            "--clear takes all gates away, and there are gates on the line",
            fix="leave --clear out: the new gates take the place of the old ones",
            code="E-GATE-009",
        )
    if clear:
        return clear_gates(ws, model)
    return set_gates(ws, model, text) if text else check(ws, model, _evidence(ws))


@verb("gate check", writes=True)
def check_gates(ws: Workspace, model: str) -> GateCheck:
    """Hold a version against its model's gates and the champion; each answers with its numbers.

    Parameters
    ----------
    model : str
        Such as delay@3; a bare name means its newest version.

    Examples
    --------
    >>> %mlops gate check delay@3
    """
    from jupyter_mlops.models.gates import check

    return check(ws, model, _evidence(ws))


@verb("gate show")
def show_gates(ws: Workspace, model: str) -> Gates | GateCheck:
    """Show a model's gates, or the last answers of a version's, without asking again.

    Parameters
    ----------
    model : str
        A name for the gates; delay@3 for what became of them.

    Examples
    --------
    >>> %mlops gate show delay
    """
    from jupyter_mlops import models
    from jupyter_mlops.models.gates import gates_of, last_check

    version = models.get(ws, model)
    found = last_check(ws, version) if "@" in model else None
    return found or gates_of(ws, version.name)


@verb("approve", writes=True)
def approve(ws: Workspace, model: str, *, note: str = "") -> Approval:
    """Approve a version as a person, for the gates `approved` and `approved by other`.

    Parameters
    ----------
    model : str
        Such as delay@3; a bare name means its newest version.
    note : str
        What you looked at.

    Examples
    --------
    >>> %mlops approve delay@3 --note "looked at the slices"
    """
    from jupyter_mlops import models

    return models.approve(ws, model, note)


@verb("promote", writes=True)
def promote(
    ws: Workspace, model: str, alias: str = "champion", *, force: str | None = None
) -> Promotion:
    """Let an alias point to a version that passes its model's gates.

    Parameters
    ----------
    model : str
        Such as delay@3; a bare name means its newest version.
    alias : str
        The alias, champion if not given.
    force : str
        Promote although gates don't pass, for this reason, which is kept.

    Examples
    --------
    >>> %mlops promote delay@3 champion
    """
    from jupyter_mlops import models

    return models.promote(ws, model, alias, _evidence(ws), force)


@verb("rollback", writes=True)
def rollback(ws: Workspace, model: str, alias: str = "champion") -> Promotion:
    """Let an alias point to the version before the one it points to; gates aren't asked.

    Parameters
    ----------
    model : str
        Its name.
    alias : str
        The alias, champion if not given.

    Examples
    --------
    >>> %mlops rollback delay
    """
    from jupyter_mlops import models

    return models.rollback(ws, model, alias)


@verb("card", writes=True)
def card(ws: Workspace, model: str, *, say: str | None = None, to: File | None = None) -> ModelCard:
    """Show a version's card: what it is for, how good it is, what it learnt, who approved it.

    Parameters
    ----------
    model : str
        Such as delay@champion; a bare name means its newest version.
    say : str
        What the version is for and what it isn't: kept, and shown on top.
    to : str
        A file that gets the card as Markdown.

    Examples
    --------
    >>> %mlops card delay@3 --say "Planning of gates at night; not for single passengers."
    >>> %mlops card delay@3 --to MODEL_CARD.md
    """
    from jupyter_mlops.models import cards
    from jupyter_mlops.models.markdown import write_card

    if say is not None:
        cards.say(ws, model, say)
    made = cards.card(ws, model, _evidence(ws))
    if to is not None:
        write_card(made, to)
    return made


def _evidence(ws: Workspace) -> Evidence:
    from jupyter_mlops.experiments.evidence import RunEvidence

    return RunEvidence(ws)
