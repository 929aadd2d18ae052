"""A view as static HTML: no script, no request, survives sanitizers and other viewers.

Only elements and inline styles that JupyterLab's sanitizer and GitHub keep are used, so
that an untrusted notebook shows the same as a trusted one.
"""

from __future__ import annotations

from html import escape
from typing import Any

from jupyter_mlops.views.blocks import (
    Actions,
    Chart,
    Code,
    Column,
    Facts,
    Level,
    Notice,
    Preview,
    Table,
    View,
)
from jupyter_mlops.views.cells import cell_text, magic_line

__all__ = ["render_html"]

ROWS = 100
_MARKS: dict[Level, tuple[str, str]] = {
    "info": ("ⓘ", "#1a6fb5"),
    "good": ("✓", "#2a7d3b"),
    "warn": ("⚠", "#9a5b00"),
    "bad": ("✗", "#b3261e"),
}


def render_html(view: View) -> str:
    """Render a view as one HTML element."""
    subtitle = f" <span>· {escape(view.subtitle)}</span>" if view.subtitle else ""
    parts = [f"<p><strong>{escape(view.title)}</strong>{subtitle}</p>"]
    for block in view.blocks:
        parts.append(_block(block))
    return "<div>" + "".join(parts) + "</div>"


def _block(block: Any) -> str:
    if isinstance(block, Facts):
        return _facts(block)
    if isinstance(block, Notice):
        return _notice(block)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Preview):
        return _preview(block)
    if isinstance(block, Chart):
        return _chart(block)
    if isinstance(block, Code):
        return f"<pre><code>{escape(block.text)}</code></pre>"
    if isinstance(block, Actions):
        return _actions(block)
    raise TypeError(f"no rendering for {type(block).__qualname__}")


def _facts(block: Facts) -> str:
    heads = "".join(f"<th>{escape(fact.label)}</th>" for fact in block.items)
    cells = "".join(f"<td>{escape(fact.value)}</td>" for fact in block.items)
    return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def _notice(block: Notice) -> str:
    mark, colour = _MARKS[block.level]
    fix = f" <em>{escape(block.fix)}</em>" if block.fix else ""
    return f'<p><span style="color: {colour}">{mark}</span> {escape(block.text)}{fix}</p>'


def _table(block: Table) -> str:
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if not block.rows:
        return f"{title}<p><em>{escape(block.empty)}</em></p>"
    heads = "".join(
        f'<th style="text-align: {column.align}">{escape(column.label)}</th>'
        for column in block.columns
    )
    rows = "".join(
        "<tr>" + "".join(_cell(column, row.get(column.key)) for column in block.columns) + "</tr>"
        for row in block.rows[:ROWS]
    )
    total = block.total if block.total is not None else len(block.rows)
    return f"{title}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>" + _more(
        total - min(len(block.rows), ROWS)
    )


def _cell(column: Column, value: Any) -> str:
    text = escape(cell_text(column, value))
    if column.kind == "badge" and value is not None:
        text = f'<span style="color: {_MARKS[value["level"]][1]}">{text}</span>'
    return f'<td style="text-align: {column.align}">{text}</td>'


def _preview(block: Preview) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in block.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in block.rows[:ROWS]
    )
    more = _more(block.total - len(block.rows)) if block.total is not None else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _chart(block: Chart) -> str:
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if not block.png:
        return f"{title}<p>{escape(block.alt)}</p>"
    source = f"data:image/png;base64,{block.png}"
    return f'{title}<img src="{source}" alt="{escape(block.alt)}">'


def _actions(block: Actions) -> str:
    items = "".join(
        f"<li>{escape(one.label)}: <code>{escape(magic_line(one))}</code></li>"
        for one in block.items
    )
    return f"<ul>{items}</ul>"


def _more(count: int) -> str:
    return f"<p><em>… {count:,} more</em></p>" if count > 0 else ""
