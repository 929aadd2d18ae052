"""What a Prometheus and a Grafana elsewhere need to watch endpoints by what `/metrics` tells."""

from __future__ import annotations

from jupyter_mlops.monitoring.scraping.writing import FILES, Scraping, write_scraping

__all__ = ["FILES", "Scraping", "write_scraping"]
