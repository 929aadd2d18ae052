"""Text files as plain UTF-8 ones: unpacked, and brought out of other encodings.

An encoding is changed only when it is certain: the file begins with a byte-order mark, or a
person named it (``flights.csv#encoding=cp1252``).  Any bytes at all are valid latin-1, so
guessing would turn names into nonsense without a word.
"""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from jupyter_mlops.data.sources.files.formats import packing_of
from jupyter_mlops.data.sources.scratch import new_folder, no_room
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["check_encoding", "plain"]

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FULL: Final = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_BLOCK: Final = 1 << 20


def check_encoding(name: str) -> str:
    """The encoding's own name; refuse one that Python doesn't know.

    Examples
    --------
    >>> check_encoding("latin-1")
    'iso8859-1'
    """
    try:
        return codecs.lookup(name).name
    except LookupError:
        known = ["cp1252", "latin-1", "utf-8", "utf-16", "cp1250", "cp1251", "shift_jis", "gb18030"]
        raise Invalid(
            f"{name!r} is no encoding",
            fix=closest(name, known) or f"use one of {', '.join(known)}",
            code="E-DATA-036",
        ) from None


def plain(path: Path, encoding: str | None = None) -> Path:
    """A file of UTF-8 text with the content of another; itself when it is one already.

    Parameters
    ----------
    path : Path
        Perhaps packed (.gz, .bz2, .zst, .zip).
    encoding : str, optional
        Known to be the text's; else a byte-order mark decides.

    Raises
    ------
    Invalid
        It can't be unpacked or decoded; the message names the place.
    Unavailable
        The disk has no room for the copy.
    """
    try:
        with _opened(path) as (name, raw):
            start = raw.read(1 << 16)
            encoding = encoding or _marked(start, name)
            if encoding is None and not packing_of(path.name):
                return path
            target = new_folder() / name
            with target.open("wb") as copy:
                if encoding is None:
                    copy.write(start)
                    shutil.copyfileobj(raw, copy, _BLOCK)
                else:
                    _transcode(start, raw, copy, encoding, name)
    except (zipfile.BadZipFile, RuntimeError) as error:
        raise Invalid(
            f"{path.name} is a damaged or locked archive",
            str(error),
            "make it again",
            code="E-DATA-033",
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise no_room(path.name, target.parent, error.strerror or str(error)) from None
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Invalid(
            f"{path.name} can't be read",
            reason,
            "check the file and your rights to it",
            code="E-DATA-020",
        ) from None
    return target


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The unpacked bytes, and the name of the text for messages."""
    packing = packing_of(path.name)
    name = path.stem if packing else path.name
    if packing == "zip":
        with zipfile.ZipFile(path) as archive:
            member = _only_member(archive, path.name)
            # The name inside the archive is only for messages: it never becomes a path.
            with archive.open(member) as raw:
                yield Path(member.filename).name or name, raw
        return
    with path.open("rb") as file:
        stream: Any = file
        if packing == "gzip":
            stream = gzip.GzipFile(fileobj=file)
        elif packing == "bz2":
            stream = bz2.BZ2File(file)
        elif packing == "zstd":
            import pyarrow as pa

            stream = pa.CompressedInputStream(file, "zstd")
        yield name, stream


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and m.file_size]
    members = [m for m in members if not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        names = ", ".join(m.filename for m in members[:5]) or "nothing"
        raise Invalid(
            f"{name} must hold one file",
            f"it holds {names}",
            "unpack it and name the file you mean",
            code="E-DATA-032",
        )
    return members[0]


def _marked(start: bytes, name: str) -> str | None:
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        raise Invalid(
            f"{name} is no UTF-8 text: it holds zero bytes",
            f"the first one is byte {start.index(0) + 1}",
            f"if it is UTF-16, name it as '{name}#encoding=utf-16-le'",
            code="E-DATA-022",
        )
    return None


def _transcode(start: bytes, raw: IO[bytes], copy: IO[bytes], encoding: str, name: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    block = start
    while True:
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            place = done + getattr(error, "start", 0) + 1
            raise Invalid(
                f"{name} is not {encoding} throughout",
                f"it can't be decoded near byte {place:,}",
                "name the encoding it was written in, for example "
                f"'{name}#encoding=cp1252', or save it as UTF-8",
                code="E-DATA-037",
            ) from None
        copy.write(text.encode("utf-8", "surrogatepass"))
        if not block:
            return
        done += len(block)
        block = raw.read(_BLOCK)
