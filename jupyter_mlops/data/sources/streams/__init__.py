"""Streams: windows of Kafka topics, Redis streams and NATS JetStream as tables."""

from __future__ import annotations

from jupyter_mlops.data.sources.streams.windows import Window, continue_from

__all__ = ["Window", "continue_from"]
