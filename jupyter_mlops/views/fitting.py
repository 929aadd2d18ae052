"""Keeps what a notebook saves of one result below a size, whatever the data is."""

from __future__ import annotations

import json
from typing import Any, Final

from jupyter_mlops.views.blocks import Block, Explorer, Findings, Heat, Preview, Table, View

__all__ = ["LARGEST", "saved_size", "shortened"]

#: Bytes of all renderings of one result in a notebook file.
LARGEST: Final = 190_000
_DEPTH: Final = 7


def saved_size(bundle: dict[str, Any]) -> int:
    """About the bytes that a MIME bundle takes in a notebook, which indents what it writes."""
    size = 0
    for content in bundle.values():
        text = json.dumps(content, indent=1, ensure_ascii=False)
        size += len(text.encode())
        # Each line of JSON is indented as deep as outputs lie; text is cut into quoted lines.
        lines = content.count("\n") if isinstance(content, str) else text.count("\n")
        size += (_DEPTH + 3) * (lines + 1)
    return size


def shortened(view: View) -> View:
    """The view with about half of what makes it large; what it counts stays true."""
    return view.model_copy(update={"blocks": [_halved(one) for one in view.blocks]})


def _halved(block: Block) -> Block:
    if isinstance(block, Explorer):
        half = len(block.details) // 2
        if half:
            return block.model_copy(update={"details": dict(list(block.details.items())[:half])})
        rows = block.rows[: (len(block.rows) + 1) // 2]
        return block.model_copy(update={"rows": rows, "details": {}, "names": ""})
    if isinstance(block, Table | Preview):
        total = block.total if block.total is not None else len(block.rows)
        rows = block.rows[: (len(block.rows) + 1) // 2]  # type: ignore[assignment]
        return block.model_copy(update={"rows": rows, "total": total})
    if isinstance(block, Heat):
        known = block.total if block.total is not None else len(block.rows)
        kept = block.rows[: (len(block.rows) + 1) // 2]
        return block.model_copy(update={"rows": kept, "total": known})
    if isinstance(block, Findings):
        total = block.total if block.total is not None else len(block.items)
        items = block.items[: (len(block.items) + 1) // 2]
        return block.model_copy(update={"items": items, "total": total})
    return block
