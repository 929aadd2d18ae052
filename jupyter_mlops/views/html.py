"""A view as static HTML: no script, no request, survives sanitizers and other viewers.

Only elements and inline styles that JupyterLab's sanitizer and GitHub keep are used, so
that an untrusted notebook shows the same as a trusted one.
"""

from __future__ import annotations

from html import escape
from typing import Any

from jupyter_mlops.views.blocks import (
    Actions,
    Canary,
    Chart,
    Code,
    Column,
    Distribution,
    Explorer,
    Facts,
    Findings,
    Form,
    Frame,
    Heat,
    Level,
    Notice,
    Preview,
    Progress,
    Snippets,
    Table,
    View,
)
from jupyter_mlops.views.cells import (
    cell_text,
    magic_line,
    percent_text,
    progress_text,
    spark_parts,
    spark_text,
)
from jupyter_mlops.views.drawing import picture
from jupyter_mlops.views.images import bars_png
from jupyter_mlops.views.squares import heat_words, squares_png

__all__ = ["render_html"]

ROWS = 100
LARGEST = 40_000
"""Characters of one table: names may hold anything, and a quote takes six."""
_MARKS: dict[Level, tuple[str, str]] = {
    "info": ("i", "#1a6fb5"),
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
    if isinstance(block, Explorer):
        return _table(
            Table(title=block.title, columns=block.columns, rows=block.rows,
                  total=block.total, empty=block.empty)
        )  # fmt: skip
    if isinstance(block, Findings):
        return _findings(block)
    if isinstance(block, Distribution):
        return _distribution(block)
    if isinstance(block, Progress):
        told = progress_text(block.done, block.total, block.unit, block.seconds, block.remaining)
        return f"<p>{escape(told)}</p>"
    if isinstance(block, Snippets):
        return "".join(
            f"<p><strong>{escape(one.title)}</strong></p>{_block(one)}" for one in block.items
        )
    if isinstance(block, Heat):
        return _heat(block)
    if isinstance(block, Form | Canary | Frame):
        return ""  # nothing can be filled in, moved or framed where no script runs
    raise TypeError(f"no rendering for {type(block).__qualname__}")


def _facts(block: Facts) -> str:
    heads = "".join(f"<th>{escape(fact.label)}</th>" for fact in block.items)
    cells = "".join(f"<td>{escape(fact.value)}</td>" for fact in block.items)
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    return f"{title}<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def _notice(block: Notice) -> str:
    mark, colour = _MARKS[block.level]
    fix = f" <em>{escape(block.fix)}</em>" if block.fix else ""
    return f'<p><span style="color: {colour}">{mark}</span> {escape(block.text)}{fix}</p>'


def _table(block: Table) -> str:
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if not block.rows:
        return f"{title}<p><em>{escape(block.empty)}</em></p>"
    # Nothing can be set off where no script runs.
    columns = [column for column in block.columns if column.kind != "actions"]
    heads = "".join(
        f'<th style="text-align: {column.align}">{escape(column.label)}</th>' for column in columns
    )
    rows: list[str] = []
    room = LARGEST
    for row in block.rows[:ROWS]:
        cells = "".join(_cell(column, row.get(column.key)) for column in columns)
        room -= len(cells)
        if room < 0:
            break
        rows.append(f"<tr>{cells}</tr>")
    total = block.total if block.total is not None else len(block.rows)
    body = f"<tbody>{''.join(rows)}</tbody>"
    return f"{title}<table><thead><tr>{heads}</tr></thead>{body}</table>" + _more(total - len(rows))


def _cell(column: Column, value: Any) -> str:
    if column.kind == "spark" and value is not None:
        return _spark(value)
    text = escape(cell_text(column, value))
    if column.kind == "badge" and value is not None:
        text = f'<span style="color: {_MARKS[value["level"]][1]}">{text}</span>'
    return f'<td style="text-align: {column.align}">{text}</td>'


def _spark(value: Any) -> str:
    values, against, ends = spark_parts(value)
    if not values:
        return "<td>–</td>"
    drawn = spark_text(values) + (f" / {spark_text(against)}" if against else "")
    picture = f'<img src="data:image/png;base64,{bars_png(values, against)}" alt="{drawn}">'
    below = f"<br><small>{escape(ends[0])} … {escape(ends[1])}</small>" if ends else ""
    return f'<td style="text-align: left">{picture}{below}</td>'


def _findings(block: Findings) -> str:
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if not block.items:
        return f"{title}<p><em>{escape(block.empty)}</em></p>"
    items: list[str] = []
    room = LARGEST // 2
    for one in block.items:
        mark, colour = _MARKS[one.level]
        item = (
            f'<li><span style="color: {colour}">{mark}</span> '
            f"<strong>{escape(one.subject)}</strong>: "
            f"{escape(one.finding)} – {escape(one.evidence)}"
            + (f". <em>{escape(one.action)}</em>" if one.action else "")
            + "</li>"
        )
        room -= len(item)
        if room < 0:
            break
        items.append(item)
    total = block.total if block.total is not None else len(block.items)
    return f"{title}<ul>{''.join(items)}</ul>" + _more(total - len(items))


def _distribution(block: Distribution) -> str:
    first, *others = block.series
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if block.labels:
        heads = "".join(f"<th>{escape(one.label or 'Share')}</th>" for one in block.series)
        rows = "".join(
            f"<tr><td>{escape(label)}</td>"
            + "".join(f"<td>{percent_text(one.shares[at])}</td>" for one in block.series)
            + "</tr>"
            for at, label in enumerate(block.labels[:ROWS])
        )
        return f"{title}<table><tr><th></th>{heads}</tr>{rows}</table>"
    against = others[0].shares if others else None
    image = bars_png(first.shares, against, width=480, height=100)
    ends = " … ".join(escape(one) for one in block.ends)
    alt = spark_text(first.shares)
    return f'{title}<p><img src="data:image/png;base64,{image}" alt="{alt}"><br>{ends}</p>'


def _heat(block: Heat) -> str:
    title = f"<p><strong>{escape(block.title)}</strong></p>" if block.title else ""
    if not block.rows or not block.columns:
        return title
    source = f"data:image/png;base64,{squares_png(block)}"
    alt = "; ".join(heat_words(block, limit=12))
    note = f"<p><em>{escape(block.note)}</em></p>" if block.note else ""
    total = block.total if block.total is not None else len(block.rows)
    picture = f'<p><img src="{source}" alt="{escape(alt)}"></p>'
    return title + picture + note + _more(total - len(block.rows))


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
    png = picture(block)
    if not png:
        return f"{title}<p>{escape(block.alt)}</p>"
    source = f"data:image/png;base64,{png}"
    return f'{title}<img src="{source}" alt="{escape(block.alt)}">'


def _actions(block: Actions) -> str:
    items = "".join(
        f"<li>{escape(one.label)}: <code>{escape(magic_line(one))}</code></li>"
        for one in block.items
    )
    return f"<ul>{items}</ul>"


def _more(count: int) -> str:
    return f"<p><em>… {count:,} more</em></p>" if count > 0 else ""
