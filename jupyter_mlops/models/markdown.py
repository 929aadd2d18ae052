"""A model card as Markdown, for a repository or a wiki."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jupyter_mlops.models.cards import Figure, ModelCard
from jupyter_mlops.workspace import Conflict, Invalid

__all__ = ["to_markdown", "write_card"]

_MARK = "<!-- model card of "
_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})


def write_card(card: ModelCard, file: str) -> str:
    """Write a card to a file, and return its path.

    Raises
    ------
    Conflict
        The file is there and holds something else than a card.
    Invalid
        It can't be written.
    """
    path = Path(file).expanduser()
    try:
        if path.exists() and not path.read_text("utf-8", "replace").startswith(_MARK):
            raise Conflict(
                f"{path} is there already and holds no model card",
                fix="name another file, or remove that one first",
                code="E-MODEL-051",
            )
        path.write_text(to_markdown(card), "utf-8")
    except OSError as error:
        raise Invalid(
            f"the card can't be written to {path}",
            error.strerror or str(error),
            "name a file in a folder that is there",
            code="E-MODEL-052",
        ) from None
    return str(path)


def to_markdown(card: ModelCard) -> str:
    """The card as Markdown text; what records hold is escaped in it."""
    version = card.version
    lines = [f"{_MARK}{version.label} -->", f"# {_text(version.label)}", ""]
    lines += ["## Intended use", ""]
    if card.use is not None:
        by = f"*{_text(card.use.actor)}, {card.use.written_at:%Y-%m-%d}*"
        lines += [_text(card.use.text), "", by, ""]
    else:
        lines += ["Nobody has said what it is for.", ""]
    lines += ["## Model", ""]
    facts = {
        "Predicts": f"{version.target or 'its target'} ({version.task})",
        "Aliases": ", ".join(version.aliases) or "none",
        "Class": card.origin.get("class", ""),
        "Files (SHA-256)": version.digest,
        "Registered": f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.actor}",
        "Trained by": card.origin.get("trained_by", ""),
        "Run": version.run_id or "none: it was trained elsewhere",
        "Contract": version.contract_ref or "none",
    }
    lines += [*_pairs(facts), "", "## Data and labels", ""]
    lines += _pairs({f"Training {key}": value for key, value in card.data.items()})
    hidden = {"class", "trained_by", "data", "environment"}
    lines += _pairs({key: value for key, value in card.origin.items() if key not in hidden})
    lines += _pairs(
        {
            one.task: f"{one.labeled:,} labeled, digest of the last commit {one.digest}"
            for one in card.labels
        }
    )
    lines += ["", "## Metrics", "", *_figures([one for one in card.figures if not one.slice])]
    sliced = [one for one in card.figures if one.slice]
    if sliced:
        lines += ["", "### Slices, the worst first", "", *_figures(sliced)]
    lines += ["", "## Gates and approvals", "", *_gates(card)]
    for one in card.approvals:
        note = f": {one.note}" if one.note else ""
        lines.append(f"- {_text(f'{one.actor} approved it, {one.approved_at:%Y-%m-%d}{note}')}")
    lines += ["", "## Environment", "", *_pairs({"Lock": card.origin.get("environment", "")})]
    lines += ["", "```", *card.requirements, "```", "", "## Loading it", ""]
    lines += ["```python", card.loading, "```"]
    if card.notes:
        lines += ["", "## Not known", "", *(f"- {_text(note)}" for note in card.notes)]
    return "\n".join(lines) + "\n"


def _gates(card: ModelCard) -> list[str]:
    if card.check is None:
        return ["Its gates weren't answered.", ""]
    rows = [[one.verdict, one.expression, one.reason] for one in card.check.lines]
    return [*_table(["Verdict", "Gate", "Reason"], rows), ""]


def _figures(figures: Iterable[Figure]) -> list[str]:
    rows = []
    for one in figures:
        interval = "" if one.low is None else f"{one.low:.4g} to {one.high:.4g}"
        rows.append(
            [
                f"{one.metric} ({one.slice})" if one.slice else one.metric,
                f"{one.value:.4g}",
                interval,
                "" if one.rows is None else f"{one.rows:,}",
            ]
        )
    return _table(["Metric", "Value", "95% interval", "Rows"], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    made = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return made + [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]


def _pairs(facts: dict[str, str]) -> list[str]:
    return [f"- {_text(name)}: {_text(value)}" for name, value in facts.items() if value]


def _text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return " ".join(text.translate(_SPECIAL).split())
