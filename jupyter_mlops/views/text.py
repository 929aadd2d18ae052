"""A view as at most 15 lines of text that say everything important."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap

from jupyter_mlops.views.blocks import (
    Actions,
    Canary,
    Chart,
    Code,
    Distribution,
    Explorer,
    Fact,
    Facts,
    Findings,
    Form,
    Frame,
    Heat,
    Notice,
    Preview,
    Progress,
    Snippets,
    Table,
    View,
)
from jupyter_mlops.views.cells import cell_text, magic_line, progress_text, spark_text
from jupyter_mlops.views.squares import heat_words

__all__ = ["LINES", "render_text"]

LINES = 15
WIDTH = 110
NARROWEST = 8


def render_text(view: View, limit: int = LINES) -> str:
    """Render a view as text of at most `limit` lines.

    Notices come before tables whatever their order: where there is little room, what is
    wrong goes first.
    """
    lines = [view.title + (f" · {view.subtitle}" if view.subtitle else "")]
    facts = [block for block in view.blocks if isinstance(block, Facts)]
    notices = [block for block in view.blocks if isinstance(block, Notice)]
    # A form can only be filled in, and a canary moved, where there is a panel.
    others = [
        block
        for block in view.blocks
        if not isinstance(block, Facts | Notice | Actions | Form | Frame | Progress | Canary)
    ]
    lines += [
        progress_text(block.done, block.total, block.unit, block.seconds, block.remaining)
        for block in view.blocks
        if isinstance(block, Progress)
    ]
    for group in facts:
        told = [_fact(fact) for fact in group.items]
        lines += _wrapped([f"{group.title}: {told[0]}", *told[1:]] if group.title else told)
    for notice in notices:
        mark = {"info": "·", "good": "✓", "warn": "!", "bad": "✗"}[notice.level]
        text = f"{mark} {notice.text}" + (f" → {notice.fix}" if notice.fix else "")
        lines += wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    lines = _cut(lines, limit - 3 if others else limit)
    for place, block in enumerate(others):
        left = limit - len(lines)
        # Each of the blocks still to come gets its share of the lines that are left.
        share = max(2, left // (len(others) - place))
        if left < 2:
            break
        lines += _block(block, min(share, left))
    actions = [item for block in view.blocks if isinstance(block, Actions) for item in block.items]
    if actions and len(lines) < limit:
        lines.append("→ " + " · ".join(f"{one.label}: {magic_line(one)}" for one in actions))
    # Names may hold anything, line breaks of any kind too.
    return "\n".join(" ".join(line.splitlines()).rstrip()[:200] for line in lines[:limit])


def _block(block: Table | Chart | Preview | Code | object, room: int) -> list[str]:
    if isinstance(block, Explorer):
        block = Table(title=block.title, columns=block.columns, rows=block.rows,
                      total=block.total, empty=block.empty)  # fmt: skip
    if isinstance(block, Table):
        return _table(block, room)
    if isinstance(block, Findings):
        return _findings(block, room)
    if isinstance(block, Distribution):
        return _distribution(block)
    if isinstance(block, Heat):
        title = [f"{block.title}:"] if block.title and room > 3 else []
        grid = ["", *heat_words(block)]  # a grid's first line is its head
        return title + [line for line in _cut(grid, room - len(title) + 1, block.total) if line]
    if isinstance(block, Chart):
        return [block.alt]
    if isinstance(block, Preview):
        rows = [block.columns, *block.rows]
        return _cut(
            _grid(rows, [False] * len(block.columns), [False] * len(block.columns)),
            room,
            block.total,
        )
    if isinstance(block, Snippets):
        block = block.items[0]
    if isinstance(block, Code):
        return _cut(block.text.splitlines(), room)
    return []


def _table(table: Table, room: int) -> list[str]:
    title = [f"{table.title}:"] if table.title and room > 3 else []
    if not table.rows:
        return [f"{table.title}: {table.empty}" if table.title else f"  {table.empty}"]
    total = table.total if table.total is not None else len(table.rows)
    if table.title and room <= 3:
        # Room for one line: the rows by their first column.
        key = table.columns[0]
        names = [cell_text(key, row.get(key.key)) for row in table.rows]
        return [_fit(f"{table.title} ({total:,}): {', '.join(names)}")]
    columns = [column for column in table.columns if column.kind != "actions"]
    rows = [[column.label for column in columns]]
    rows += [[cell_text(column, row.get(column.key)) for column in columns] for row in table.rows]
    grid = _grid(
        rows,
        [column.align == "right" for column in columns],
        # Half a reference can't be copied.
        [column.kind == "ref" for column in columns],
    )
    return title + _cut(grid, room - len(title), total)


def _findings(block: Findings, room: int) -> list[str]:
    if not block.items:
        return [f"{block.title}: {block.empty}" if block.title else block.empty]
    total = block.total if block.total is not None else len(block.items)
    if room <= 3:
        counts = Counter(one.finding for one in block.items)
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        return [_fit(f"{block.title} ({total:,}): {said}")]
    lines = [f"{one.subject}: {one.finding} – {one.evidence}" for one in block.items]
    return _cut([f"{block.title} ({total:,}):", *map(_fit, lines)], room, total)


def _distribution(block: Distribution) -> list[str]:
    title = f"{block.title}: " if block.title else ""
    ends = block.ends or block.labels
    low, high = (f"{ends[0]} ", f" {ends[-1]}") if ends else ("", "")
    return [
        _fit(f"{title}{one.label + ' ' if one.label else ''}{low}{spark_text(one.shares)}{high}")
        for one in block.series
    ]


def _grid(rows: list[list[str]], right: list[bool], whole: list[bool]) -> list[str]:
    flat = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = _widths([max(len(row[at]) for row in flat) for at in range(len(right))], whole)
    lines = []
    for row in flat:
        cells = [
            _short(cell, width).rjust(width) if flush else _short(cell, width).ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        lines.append(_fit("  ".join(cells)))
    return lines


def _widths(wanted: list[int], whole: list[bool]) -> list[int]:
    """Take from the widest column until the row fits, so that short columns stay whole."""
    widths = [min(width, WIDTH) for width in wanted]
    loose = [at for at, kept in enumerate(whole) if not kept]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH and loose:
        widest = max(loose, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _short(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def _fact(fact: Fact) -> str:
    return f"{fact.label}{'' if fact.label.endswith('?') else ':'} {fact.value}"


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
