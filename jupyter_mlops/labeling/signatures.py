"""Media types by the first bytes of a file: what a browser can show or play, and nothing else."""

from __future__ import annotations

__all__ = ["HEAD", "media_type"]

HEAD = 16  # bytes that are looked at

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_SOUNDS = (
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "audio/webm"),
)
_FILMS = ((b"\x1aE\xdf\xa3", "video/webm"), (b"OggS", "video/ogg"))
# What a RIFF file and an ISO media file (ISO/IEC 14496-12) hold, by kind.
_RIFF = {"image": (b"WEBP", "image/webp"), "audio": (b"WAVE", "audio/wav")}
_BOXED = {"audio": "audio/mp4", "video": "video/mp4"}


def media_type(head: bytes, kind: str = "image") -> str:
    """The media type of an image, a sound or a film; empty when it is none we know.

    SVG is left out: it can carry scripts.

    Parameters
    ----------
    head : bytes
        The first 16 bytes, or more.
    kind : {"image", "audio", "video"}
        What it is to be shown as: some containers hold sounds and films alike.

    Examples
    --------
    >>> media_type(bytes.fromhex("ffd8ffe0"))
    'image/jpeg'
    >>> media_type(b"RIFF....WAVEfmt ", "audio")
    'audio/wav'
    """
    known = {"image": _IMAGES, "audio": _SOUNDS, "video": _FILMS}[kind]
    for signature, found in known:
        if head.startswith(signature):
            return found
    if kind in _RIFF and head[:4] == b"RIFF" and head[8:12] == _RIFF[kind][0]:
        return _RIFF[kind][1]
    if kind in _BOXED and head[4:8] == b"ftyp":
        return _BOXED[kind]
    # A frame of MPEG audio begins with eleven ones and a layer that is not 0.
    frame = kind == "audio" and len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return "audio/mpeg" if frame and head[1] & 0x06 else ""
