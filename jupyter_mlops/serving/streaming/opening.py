"""Which source and which sink a URI means."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode

from jupyter_mlops.serving.streaming.messages import Sink, Source
from jupyter_mlops.workspace import Invalid, closest

__all__ = ["open_sink", "open_source"]

_STARTS: Final = ("all", "new")
_KNOWN: Final = ("kafka", "redis", "rediss", "nats", "file")


def open_source(uri: str, name: str, kept: Path, follow: bool = False) -> Source:
    """Make the source that a URI means; it isn't connected to yet.

    Parameters
    ----------
    uri : str
        As the data room takes it, ``kafka://HOST/TOPIC``, ``redis://HOST/0/STREAM``,
        ``nats://HOST/STREAM/SUBJECT``, or a path. In its options ``start=new`` leaves out what is
        there before the stream first begins, and ``field=NAME`` names the field of a Redis entry
        that holds JSON.
    name : str
        The stream's; brokers keep its place under it.
    kept : Path
        Where the place in files is kept.
    follow : bool
        Whether files are waited for to grow.

    Raises
    ------
    Invalid
        The URI or an option can't be understood.
    NotFound
        A file isn't there.
    """
    scheme = _scheme(uri)
    uri, own = _own_options(uri, ("start", "field") if scheme.startswith("redis") else ("start",))
    start = own.get("start", "all")
    if start not in _STARTS or (scheme == "file" and own):
        raise Invalid(
            f"the source can't start at {start!r}" if scheme != "file" else "files have no start",
            "start=all begins with the oldest record, start=new with the next one that comes",
            "mend it or leave it out",
            code="E-STREAM-120",
        )
    if scheme == "kafka":
        from jupyter_mlops.serving.streaming.kafka import KafkaSource

        return KafkaSource(uri, name, start)
    if scheme.startswith("redis"):
        from jupyter_mlops.serving.streaming.redis import RedisSource

        return RedisSource(uri, name, start, own.get("field", ""))
    if scheme == "nats":
        from jupyter_mlops.serving.streaming.nats import NatsSource

        return NatsSource(uri, name, start)
    from jupyter_mlops.serving.streaming.reading import FileSource

    return FileSource(uri, kept, follow)


def open_sink(uri: str, name: str, source: Source | None = None) -> Sink:
    """Make the sink that a URI means; it isn't connected to yet.

    Parameters
    ----------
    uri : str
        ``kafka://HOST/TOPIC``, ``redis://HOST/0/STREAM``, ``nats://HOST/STREAM/SUBJECT``, a file
        that ends in .ndjson, .jsonl or .csv, or a folder for Parquet files.
    name : str
        The stream's.
    source : Source, optional
        With which the sink may share transactions.

    Raises
    ------
    Invalid
        The URI can't be understood.
    """
    scheme = _scheme(uri)
    if scheme == "kafka":
        from jupyter_mlops.serving.streaming.kafka import KafkaSink, KafkaSource

        return KafkaSink(uri, name, source if isinstance(source, KafkaSource) else None)
    if scheme.startswith("redis"):
        from jupyter_mlops.serving.streaming.redis import RedisSink

        return RedisSink(uri, name)
    if scheme == "nats":
        from jupyter_mlops.serving.streaming.nats import NatsSink

        return NatsSink(uri, name)
    from jupyter_mlops.serving.streaming.reading import local_path
    from jupyter_mlops.serving.streaming.writing import CsvSink, NdjsonSink, ParquetSink

    path = local_path(uri)
    ending = path.suffix.lower()
    if ending in (".ndjson", ".jsonl"):
        return NdjsonSink(path)
    if ending == ".csv":
        return CsvSink(path)
    if ending in ("", ".parquet") and not path.is_file():
        return ParquetSink(path)
    raise Invalid(
        f"answers can't be written to {path.name}",
        "files end in .ndjson, .jsonl or .csv, and a folder takes Parquet files",
        "choose one of them",
        code="E-STREAM-121",
    )


def _scheme(uri: str) -> str:
    scheme, colon, _ = uri.partition("://")
    found = scheme.lower() if colon else "file"
    if found not in _KNOWN:
        raise Invalid(
            f"{found}:// can't be streamed",
            f"what can is {', '.join(_KNOWN)} and paths",
            closest(found, _KNOWN),
            code="E-STREAM-122",
        )
    return found


def _own_options(uri: str, names: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The URI without the options that mean something here, and these."""
    head, mark, query = uri.partition("?")
    if not mark or "://" not in uri:
        return uri, {}
    given = parse_qsl(query, keep_blank_values=True)
    own = {key: value for key, value in given if key in names}
    rest = urlencode([(key, value) for key, value in given if key not in names], safe=":/,")
    return (f"{head}?{rest}" if rest else head), own
