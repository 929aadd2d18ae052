"""A view as at most 15 lines of text that say everything important."""

from __future__ import annotations

from jupyter_mlops.views.blocks import Actions, Chart, Code, Facts, Notice, Preview, Table, View
from jupyter_mlops.views.cells import cell_text, magic_line

__all__ = ["LINES", "render_text"]

LINES = 15
WIDTH = 110
CELL = 32


def render_text(view: View) -> str:
    """Render a view as text.

    Notices come before tables whatever their order: where there is little room, what is
    wrong goes first.
    """
    lines = [view.title + (f" · {view.subtitle}" if view.subtitle else "")]
    facts = [block for block in view.blocks if isinstance(block, Facts)]
    notices = [block for block in view.blocks if isinstance(block, Notice)]
    others = [block for block in view.blocks if not isinstance(block, Facts | Notice | Actions)]
    for group in facts:
        lines += _wrapped([f"{fact.label}: {fact.value}" for fact in group.items])
    for notice in notices:
        mark = {"info": "·", "good": "✓", "warn": "!", "bad": "✗"}[notice.level]
        lines.append(f"{mark} {notice.text}" + (f" → {notice.fix}" if notice.fix else ""))
    lines = _cut(lines, LINES - 3 if others else LINES)
    for place, block in enumerate(others):
        left = LINES - len(lines)
        # Each of the blocks still to come gets its share of the lines that are left.
        share = max(2, left // (len(others) - place))
        if left < 2:
            break
        lines += _block(block, min(share, left))
    actions = [item for block in view.blocks if isinstance(block, Actions) for item in block.items]
    if actions and len(lines) < LINES:
        lines.append("→ " + " · ".join(f"{one.label}: {magic_line(one)}" for one in actions))
    return "\n".join(line.rstrip()[:200] for line in lines[:LINES])


def _block(block: Table | Chart | Preview | Code | object, room: int) -> list[str]:
    if isinstance(block, Table):
        return _table(block, room)
    if isinstance(block, Chart):
        return [block.alt]
    if isinstance(block, Preview):
        rows = [block.columns, *block.rows]
        return _cut(_grid(rows, [False] * len(block.columns)), room, block.total)
    if isinstance(block, Code):
        return _cut(block.text.splitlines(), room)
    return []


def _table(table: Table, room: int) -> list[str]:
    title = [f"{table.title}:"] if table.title and room > 3 else []
    if not table.rows:
        return [*title, f"  {table.empty}"][:room]
    rows = [[column.label for column in table.columns]]
    rows += [
        [cell_text(column, row.get(column.key)) for column in table.columns] for row in table.rows
    ]
    grid = _grid(rows, [column.align == "right" for column in table.columns])
    total = table.total if table.total is not None else len(table.rows)
    return title + _cut(grid, room - len(title), total)


def _grid(rows: list[list[str]], right: list[bool]) -> list[str]:
    short = [[_short(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in short) for at in range(len(right))]
    lines = []
    for row in short:
        cells = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        lines.append(_fit("  ".join(cells)))
    return lines


def _short(cell: str) -> str:
    flat = " ".join(cell.split())
    return flat if len(flat) <= CELL else flat[: CELL - 1] + "…"


def _fit(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _wrapped(items: list[str]) -> list[str]:
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 3 <= WIDTH:
            lines[-1] += f" · {item}"
        else:
            lines.append(item)
    return lines


def _cut(lines: list[str], room: int, total: int | None = None) -> list[str]:
    """Keep the first lines; the last says how many rows of a grid are not shown."""
    rows = len(lines) - 1
    whole = rows if total is None else total
    if len(lines) <= room and whole <= rows:
        return lines
    kept = lines[: max(1, room - 1)]
    return [*kept, f"… {max(whole, rows) - (len(kept) - 1):,} more"]
