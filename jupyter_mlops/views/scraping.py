"""How the files for Prometheus and Grafana look."""

from __future__ import annotations

from typing import Final

from jupyter_mlops.monitoring.scraping import Scraping
from jupyter_mlops.views.blocks import Block, Code, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["scraping_view"]

_WHAT: Final = {
    "prometheus.yml": "Where the endpoints are, and where their tokens lie",
    "alerts.yml": "Alert rules; their limits are examples",
    "dashboard.json": "A Grafana dashboard: Dashboards, New, Import",
}


@look(Scraping)
def scraping_view(result: Scraping) -> View:
    """What was written, and what to do with it."""
    facts = [
        Fact(label="Folder", value=str(result.folder)),
        Fact(label="Endpoints", value=", ".join(result.endpoints) or "none runs"),
    ]
    blocks: list[Block] = [Facts(items=facts)]
    if result.left_out:
        text = f"Left out, because they don't run: {', '.join(result.left_out)}."
        blocks.append(Notice(level="warn", text=text))
    blocks.append(
        Table(
            title="Written",
            columns=[Column(key="name", label="File"), Column(key="what", label="What it is")],
            rows=[{"name": name, "what": _WHAT[name]} for name in result.files],
        )
    )
    next_ = "prometheus --config.file=prometheus.yml"
    blocks.append(Code(title="Next, in that folder", language="bash", text=next_))
    return View(
        kind="scraping",
        title="Prometheus and Grafana",
        subtitle=str(result.folder),
        line="%mlops monitors",
        blocks=blocks,
    )
