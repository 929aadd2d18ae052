"""Write Prometheus's configuration, alert rules and a Grafana dashboard into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]

from jupyter_mlops import serving
from jupyter_mlops.serving import Endpoint
from jupyter_mlops.workspace import Conflict, Result, Unavailable, Workspace

__all__ = ["FILES", "Scraping", "write_scraping"]

CONFIGURATION: Final = "prometheus.yml"
#: As they come with the package.
FILES: Final = ("alerts.yml", "dashboard.json")
_INTERVAL: Final = "15s"
_HEAD: Final = "# Written by `monitor export`; run it again when an endpoint has another port.\n"


@dataclass(frozen=True)
class Scraping(Result):
    """Files that were written for Prometheus and Grafana.

    Attributes
    ----------
    folder : Path
    files : tuple of str
    endpoints : tuple of str
        That Prometheus is told of.
    left_out : tuple of str
        Endpoints that don't run, and so have no address.
    """

    folder: Path
    files: tuple[str, ...]
    endpoints: tuple[str, ...]
    left_out: tuple[str, ...]


def write_scraping(ws: Workspace, folder: str | Path) -> Scraping:
    """Write the configuration for the endpoints that run, the rules and the dashboard.

    Parameters
    ----------
    ws : Workspace
    folder : str or Path
        Made where it isn't there. Files that were written before are replaced.

    Raises
    ------
    Conflict
        ``E-SCRAPE-001``: it holds a file of that name that is another's.
    Unavailable
        ``E-SCRAPE-002``: it can't be written.

    Examples
    --------
    >>> write_scraping(ws, "monitoring").files  # doctest: +SKIP
    ('prometheus.yml', 'alerts.yml', 'dashboard.json')
    """
    place = Path(folder).expanduser().resolve()
    running = [one for one in serving.list_endpoints(ws) if one.url]
    left_out = [one.name for one in serving.list_endpoints(ws) if not one.url]
    own = place / CONFIGURATION
    if own.exists() and not own.read_text("utf-8", "replace").startswith(_HEAD):
        raise Conflict(
            f"{own} is another's",
            fix="choose another folder",
            code="E-SCRAPE-001",
        )
    texts = {CONFIGURATION: _HEAD + yaml.safe_dump(_configuration(running), sort_keys=False)}
    source = files("jupyter_mlops.monitoring.scraping")
    texts |= {name: (source / name).read_text("utf-8") for name in FILES}
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / name).write_text(text, "utf-8")
    except OSError as error:
        raise Unavailable(
            f"{place} can't be written",
            error.strerror or str(error),
            "check the disk's space and your rights there",
            code="E-SCRAPE-002",
        ) from None
    names = tuple(one.name for one in running)
    with ws.write() as tx:
        tx.emit(
            "monitor.exported",
            "workspace:monitoring",
            payload={"to": str(place), "endpoints": list(names)},
            inputs=[f"endpoint:{name}" for name in names],
        )
    return Scraping(place, tuple(texts), names, tuple(left_out))


def _configuration(endpoints: list[Endpoint]) -> dict[str, Any]:
    """As https://prometheus.io/docs/prometheus/latest/configuration/configuration/ has it."""
    return {
        "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": f"endpoint-{one.name}",
                "authorization": {"type": "Bearer", "credentials_file": str(one.token_path)},
                "static_configs": [
                    {"targets": [urlsplit(one.url).netloc], "labels": {"endpoint": one.name}}
                ],
            }
            for one in endpoints
        ],
    }
