"""Python and TypeScript name the same kinds of results."""

from __future__ import annotations

import re
from pathlib import Path

from jupyter_mlops.views.kinds import KINDS

VIEWS = Path(__file__).parents[2] / "labextension" / "src" / "kinds.ts"


def test_the_labextension_draws_every_kind() -> None:
    found = re.search(r"export const KINDS = \[(.*?)\] as const", VIEWS.read_text("utf-8"), re.S)
    assert found is not None
    assert tuple(re.findall(r"'([a-z-]+)'", found[1])) == KINDS
