"""How loud a sound is along its time, so that a browser draws an hour of it at once."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlops.labeling.media import Media, open_media
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Peaks", "peaks", "peaks_of"]

POINTS = 4000
# Bytes of samples at a time, and of a compressed file.
BLOCK, PART = 8 << 20, 1 << 18
LONGEST = 1_000_000  # seconds; a header that says more doesn't know
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
# What libsndfile calls them.
_CODECS = {"audio/flac": "FLAC", "audio/ogg": "OGG", "audio/mpeg": "MP3"}
_ENDLESS = "the browser decodes the whole sound: it has no end that libsndfile finds"
_WITHOUT = "the browser decodes the whole sound: its peaks take soundfile"


@dataclass(frozen=True)
class Peaks:
    """The loudest sample of each stretch of a sound.

    `duration` is in seconds, `rate` in samples a second; `values` run from 0 to 1, over all
    channels. `values` is empty when nothing here can decode the sound: a browser may, and
    `note` says what is missing.
    """

    duration: float | None
    rate: int | None
    channels: int | None
    values: tuple[float, ...]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "duration": self.duration,
            "rate": self.rate,
            "channels": self.channels,
            "peaks": list(self.values),
            "note": self.note,
        }


def peaks_of(ws: Workspace, task: str, item: int) -> Peaks:
    """The peaks of an item of a task.

    Raises
    ------
    NotFound, Conflict
        The item has no media, or they are gone or have changed.
    Invalid
        It is no sound, or a broken one.
    """
    media = open_media(ws, task, item)
    if not media.type.startswith("audio/"):
        raise Invalid(f"item {item} is no sound", f"it is {media.type}", code="E-LABEL-205")
    return _kept(_Handle(media.digest, media))


def peaks(media: Media, points: int = POINTS) -> Peaks:
    """Work out the peaks of a sound.

    WAV is read here: PCM of 8 to 32 bits and floats. FLAC, Ogg and MP3 are decoded by
    soundfile where that is installed (the extra ``audio``; MP3 takes libsndfile 1.1). Either
    way in parts, so that memory doesn't grow with the sound.

    Raises
    ------
    Invalid
        The sound is broken.
    """
    if media.type == "audio/wav":
        return _wav(media, points)
    return _decoded(media, points)


class _Handle:
    """A sound by its digest alone, so that its peaks are worked out once."""

    def __init__(self, digest: str, media: Media) -> None:
        self.digest, self.media = digest, media

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle) and other.digest == self.digest


@lru_cache(maxsize=256)
def _kept(handle: _Handle) -> Peaks:
    return peaks(handle.media)


def _wav(media: Media, points: int) -> Peaks:
    format, start, size = _layout(media)
    code, channels, rate, width = format
    frame = channels * width
    frames = size // frame
    step = max(1, -(-frames // points))
    block = max(1, BLOCK // (step * frame)) * step  # whole stretches at a time
    values: list[float] = []
    for first in range(0, frames, block):
        count = min(block, frames - first)
        raw = media.read(start + first * frame, count * frame)
        loud = _loudness(raw[: len(raw) // frame * frame], code, width)
        values += _stretches(loud.reshape(-1, channels), step)
    return Peaks(frames / rate, rate, channels, tuple(values))


def _layout(media: Media) -> tuple[tuple[int, int, int, int], int, int]:
    """The format of a WAV file, and where its samples are (RIFF, WAVE: IBM and Microsoft 1991)."""
    place, format = 12, None
    while place + 8 <= media.size:
        name, size = struct.unpack("<4sI", media.read(place, 8))
        if name == b"fmt " and size >= 16:
            head = media.read(place + 8, min(size, 40))
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", head[:16])
            if code == _EXTENSIBLE and len(head) >= 26:
                (code,) = struct.unpack("<H", head[24:26])
            format = (code, channels, rate, bits // 8)
        if name == b"data" and format is not None:
            code, channels, rate, width = format
            if not channels or not rate or (code, width) not in _READ:
                raise _unreadable(f"its samples are of format {code} with {8 * width} bits")
            # A stream that was cut off, or never knew its length, ends where the file does.
            return format, place + 8, min(size, media.size - place - 8)
        place += 8 + size + size % 2
    raise _unreadable("it has no samples")


_READ = {(_PCM, 1), (_PCM, 2), (_PCM, 3), (_PCM, 4), (_FLOAT, 4), (_FLOAT, 8)}


def _loudness(raw: bytes, code: int, width: int) -> NDArray[np.float32]:
    """The size of each sample, 0 to 1."""
    if code == _FLOAT:
        read = np.frombuffer(raw, f"<f{width}").astype(np.float32)
        return np.nan_to_num(np.abs(read), nan=0.0, posinf=1.0).clip(0, 1)
    if width == 1:
        read = (np.frombuffer(raw, np.uint8).astype(np.int16) - 128).astype(np.float32)
    elif width == 3:
        # The upper two bytes are more than a screen can show.
        upper = np.frombuffer(raw, np.uint8).reshape(-1, 3)[:, 1:].copy()
        read = upper.view("<i2").ravel().astype(np.float32)
    else:
        read = np.frombuffer(raw, f"<i{width}").astype(np.float32)
    full = 2 ** (8 * (2 if width == 3 else width) - 1)
    found: NDArray[np.float32] = (np.abs(read) / full).astype(np.float32)
    return found


def _stretches(loud: NDArray[np.float32], step: int) -> Iterator[float]:
    highest = loud.max(axis=1) if loud.size else np.zeros(0, np.float32)
    if not len(highest):
        return iter(())
    starts = np.arange(0, len(highest), step)
    return (round(float(one), 3) for one in np.maximum.reduceat(highest, starts))


def _decoded(media: Media, points: int) -> Peaks:
    """Decode block by block: an hour of sound is never in memory as samples."""
    codec = _CODECS.get(media.type)
    if codec is None:
        return Peaks(None, None, None, ())
    try:
        # libsndfile is missing where the wheel brings none and the system has none (OSError).
        soundfile: Any = import_module("soundfile")
    except (ImportError, OSError):
        return Peaks(None, None, None, (), f"{_WITHOUT}: `pip install jupyter_mlops[audio]`")
    if codec not in soundfile.available_formats():
        told = f"libsndfile {soundfile.__libsndfile_version__.removeprefix('libsndfile-')}"
        return Peaks(None, None, None, (), f"{_WITHOUT} with MP3, which {told} lacks")
    try:
        with soundfile.SoundFile(io.BufferedReader(_Bytes(media), PART)) as sound:
            return _heard(sound, points, soundfile.LibsndfileError)
    except soundfile.LibsndfileError as error:
        raise _unreadable(str(error.error_string).removeprefix("Error : ").rstrip(".")) from None


def _heard(sound: Any, points: int, failure: type[Exception]) -> Peaks:
    rate, channels = int(sound.samplerate), int(sound.channels)
    # A header may not know how long the sound is, or be wrong: what is decoded counts.
    told = int(sound.frames)
    step = max(1, -(-told // points)) if 0 < told < LONGEST * rate else max(1, rate // 100)
    block = max(1, BLOCK // (4 * step * channels)) * step
    into = np.empty((block, channels), np.float32)
    values: list[float] = []
    frames, whole = 0, True
    while whole:
        into.fill(np.nan)
        try:
            found = sound.read(out=into)
        except failure:
            # One that was cut off ends where it can't be decoded any more.
            found, whole = into[: np.count_nonzero(~np.isnan(into[:, 0]))], False
            if not frames and not len(found):
                raise
        if not len(found):
            break
        frames += len(found)
        loud = np.nan_to_num(np.abs(found), nan=0.0, posinf=1.0)
        values += _stretches(np.minimum(loud, 1), step)
    if not frames and sound.format == "OGG":
        # One that was cut off: libsndfile plays none of it, a browser does.
        return Peaks(None, None, None, (), _ENDLESS)
    width = -(-len(values) // points)
    if width > 1:
        values = [max(values[at : at + width]) for at in range(0, len(values), width)]
    return Peaks(frames / rate, rate, channels, tuple(values))


class _Bytes(io.RawIOBase):
    """Media as a file that is read in parts."""

    def __init__(self, media: Media) -> None:
        self._media, self._at = media, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._media.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._media.read(self._at, len(buffer))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _unreadable(why: str) -> Invalid:
    return Invalid("the sound can't be read", why, "skip the item", code="E-LABEL-206")
