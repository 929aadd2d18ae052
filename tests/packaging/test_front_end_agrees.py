"""The front end knows the same kinds of results, and the same harmless verbs, as the package."""

from __future__ import annotations

import re
from pathlib import Path

from jupyter_mlops.verbs.table import all_verbs
from jupyter_mlops.views.kinds import KINDS

SOURCE = Path(__file__).resolve().parents[2] / "labextension" / "src"


def table(name: str) -> str:
    """The body of a constant of references.ts."""
    text = (SOURCE / "references.ts").read_text()
    return text.partition(f"const {name}")[2].partition("= {")[2].partition("\n};")[0]


def test_every_kind_of_result_has_its_mime_type() -> None:
    text = (SOURCE / "kinds.ts").read_text()
    listed = text.partition("export const KINDS = [")[2].partition("]")[0]
    assert sorted(re.findall(r"'([a-z-]+)'", listed)) == sorted(KINDS)


def test_what_the_panels_ask_freely_changes_nothing() -> None:
    asked = set(re.findall(r"^  '?([a-z-]+)'?:", table("READS"), re.MULTILINE))
    assert asked == {verb.slug for verb in all_verbs().values() if not verb.writes}


def test_the_panels_ask_verbs_by_the_names_of_their_arguments() -> None:
    verbs = {verb.slug: verb for verb in all_verbs().values()}
    pairs = re.findall(r"\['([a-z-]+)', '([a-z_]+)'\]", table("SHOWS"))
    assert pairs
    for verb, argument in pairs:
        assert argument in {one.name for one in verbs[verb].arguments}
