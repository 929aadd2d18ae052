"""What is labelled beside pictures and texts: sounds, films, rows, pairs; and what is broken."""

from __future__ import annotations

import io
import json
import struct
import sys
import time
import wave
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.labeling import answer, claim, create, open_media, peaks, peaks_of, png, upcoming
from jupyter_mlops.labeling.signatures import media_type
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

from .conftest import Rows

CLASSES = ["a", "b"]
RATE = 8000


def wav(samples: np.ndarray, width: int = 2, rate: int = RATE) -> bytes:
    """A WAV file of samples from -1 to 1, shape (frames,) or (frames, channels)."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(samples.shape[1] if samples.ndim > 1 else 1)
        out.setsampwidth(width)
        out.setframerate(rate)
        full = 2 ** (8 * width - 1) - 1
        if width == 1:
            raw = (samples * full + 128).astype(np.uint8).tobytes()
        elif width == 3:
            wide = (samples * full).astype("<i4")
            raw = wide.reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
        else:
            raw = (samples * full).astype(f"<i{width}").tobytes()
        out.writeframes(raw)
    return file.getvalue()


def floats(samples: np.ndarray) -> bytes:
    """A WAV file of 32-bit floats, with a chunk before the samples that nobody knows."""
    raw = samples.astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + head
    body += b"odd " + struct.pack("<I", 3) + b"xyz\0" + b"data" + struct.pack("<I", len(raw)) + raw
    return b"RIFF" + struct.pack("<I", len(body)) + body


RAMP = np.repeat([0.0, 0.25, 0.5, 1.0], RATE)


@pytest.mark.parametrize(
    "content",
    [
        wav(RAMP),
        wav(-RAMP, 1),
        wav(RAMP, 3),
        wav(RAMP, 4),
        wav(np.stack([RAMP / 2, RAMP], axis=1)),
        floats(RAMP),
    ],
    ids=["16 bits", "8 bits", "24 bits", "32 bits", "stereo", "floats"],
)
def test_peaks_follow_the_loudness(ws: Workspace, content: bytes) -> None:
    create(ws, "sounds", Rows(pl.DataFrame({"s": [content]})), "audio", CLASSES)
    found = peaks_of(ws, "sounds", 0)
    assert (found.duration, found.rate) == (4, RATE)
    values = np.array(found.values).reshape(4, -1)
    assert values.shape == (4, 1000)
    assert values.mean(axis=1) == pytest.approx([0, 0.25, 0.5, 1], abs=0.01)


def test_an_hour_of_sound_opens_at_once(ws: Workspace) -> None:
    second = (np.sin(np.arange(16_000) / 20) * 20_000).astype("<i2").tobytes()
    with wave.open(str(ws.root / "hour.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        for _ in range(3600):
            out.writeframes(second)
    create(ws, "hours", Rows(pl.DataFrame({"s": ["hour.wav"]})), "audio", ["a"], answer="regions")
    began = time.perf_counter()
    found = peaks_of(ws, "hours", 0)
    taken = time.perf_counter() - began
    assert (found.duration, len(found.values)) == (3600, 4000)
    assert len(json.dumps(found.as_dict())) < 40_000
    print(f"\npeaks of an hour: {taken:.2f} s", end=" ")
    assert taken < 10  # a quiet machine takes less than one
    # Again it costs nothing: the content has the same digest.
    began = time.perf_counter()
    assert peaks_of(ws, "hours", 0) is found
    assert time.perf_counter() - began < max(1, taken)


CODECS = {"audio/flac": "FLAC", "audio/ogg": "OGG", "audio/mpeg": "MP3"}


def encoded(samples: np.ndarray, codec: str, rate: int = RATE) -> bytes:
    """A sound as soundfile writes it."""
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=codec)
    return file.getvalue()


@pytest.mark.parametrize("type", CODECS)
def test_compressed_sounds_have_the_same_peaks(
    ws: Workspace, type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = RAMP * np.sin(np.arange(len(RAMP)) / 3)
    monkeypatch.setattr(peaks, "BLOCK", 100_000)  # many blocks, so that their seams show
    sounds = [encoded(wave, CODECS[type]), encoded(np.stack([wave / 2, wave], 1), CODECS[type])]
    (ws.root / "sound").write_bytes(sounds[0])
    rows = pl.DataFrame({"s": [*sounds, sounds[0][:-20]]})
    create(ws, "sounds", Rows(rows), "audio", CLASSES)
    create(ws, "files", Rows(pl.DataFrame({"s": ["sound"]})), "audio", CLASSES)
    for task, item in (("sounds", 0), ("sounds", 1), ("files", 0)):
        assert open_media(ws, task, item).type == type
        found = peaks_of(ws, task, item)
        assert (found.rate, found.channels, found.note) == (RATE, 1 + item, "")
        # An MP3 begins and ends with a little silence of its encoder's.
        assert found.duration == pytest.approx(4, abs=0.25)
        seconds = (np.arange(len(found.values)) + 0.5) / len(found.values) * found.duration
        for second, loud in enumerate((0, 0.25, 0.5, 1)):
            within = (seconds > second + 0.3) & (seconds < second + 0.7)
            assert np.median(np.array(found.values)[within]) == pytest.approx(loud, abs=0.08)
        # Blocks end where stretches do: there are no more of them than a whole reading has.
        frames = round(found.duration * RATE)
        step = -(-frames // peaks.POINTS)
        assert len(found.values) == -(-frames // step)
    # One that was cut off shows what can be decoded, or leaves it to the browser.
    cut = peaks_of(ws, "sounds", 2)
    assert 2 < cut.duration <= 4.25 if cut.duration is not None else "no end" in cut.note
    assert (cut.duration is None) == (type == "audio/ogg")


def test_a_flac_that_does_not_know_its_length_is_read_to_its_end(ws: Workspace) -> None:
    content = bytearray(encoded(RAMP, "FLAC"))
    # The lower 36 bits of the 14th to 18th byte of STREAMINFO count the samples (RFC 9639, 8.2).
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    create(ws, "sounds", Rows(pl.DataFrame({"s": [bytes(content)]})), "audio", CLASSES)
    found = peaks_of(ws, "sounds", 0)
    assert found.duration == 4
    assert np.array(found.values).reshape(4, -1).mean(axis=1) == pytest.approx(
        [0, 0.25, 0.5, 1], abs=0.01
    )


def test_a_compressed_sound_that_is_broken_says_so(ws: Workspace) -> None:
    rows = pl.DataFrame({"s": [b"fLaC" + bytes(range(200)), encoded(RAMP, "FLAC")]})
    create(ws, "sounds", Rows(rows), "audio", CLASSES)
    with pytest.raises(Invalid, match="the sound can't be read: "):
        peaks_of(ws, "sounds", 0)


def test_without_a_decoder_the_browser_decodes_and_is_told_why(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    rows = pl.DataFrame({"s": [encoded(RAMP, "MP3"), b"\0\0\0\x20ftypM4A " + bytes(64)]})
    create(ws, "sounds", Rows(rows), "audio", CLASSES)
    flac, boxed = open_media(ws, "sounds", 0), open_media(ws, "sounds", 1)
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "", "FLAC": ""})
    assert "which libsndfile 1." in peaks.peaks(flac).note
    monkeypatch.setitem(sys.modules, "soundfile", None)
    found = peaks.peaks(flac)
    assert found.values == ()
    assert found.as_dict()["note"].endswith("`pip install jupyter_mlops[audio]`")
    # What soundfile can't read either needs no advice.
    assert peaks.peaks(boxed).note == ""


def test_a_sound_of_no_length_is_an_item_and_one_without_samples_says_so(ws: Workspace) -> None:
    cut = wav(RAMP)[:40]
    rows = Rows(pl.DataFrame({"s": [wav(np.zeros(0)), cut, wav(RAMP)]}))
    create(ws, "sounds", rows, "audio", CLASSES)
    assert (peaks_of(ws, "sounds", 0).duration, peaks_of(ws, "sounds", 0).values) == (0, ())
    with pytest.raises(Invalid, match="the sound can't be read: it has no samples"):
        peaks_of(ws, "sounds", 1)
    # One that was cut off ends where its file does.
    create(ws, "short", Rows(pl.DataFrame({"s": [wav(RAMP)[: 44 + 2 * RATE]]})), "audio", CLASSES)
    assert peaks_of(ws, "short", 0).duration == 1


@pytest.mark.parametrize(
    ("head", "kind", "found"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "audio", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", "video", ""),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", "image/webp"),
        (b"fLaC\0\0\0\x22", "audio", "audio/flac"),
        (b"ID3\x04\0\0\0\0", "audio", "audio/mpeg"),
        (b"\xff\xfb\x90\x64\0\0", "audio", "audio/mpeg"),
        (b"\xff\xd8\xff\xe0", "audio", ""),
        (b"\0\0\0\x20ftypisom", "video", "video/mp4"),
        (b"\0\0\0\x20ftypM4A ", "audio", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x01", "video", "video/webm"),
        (b"OggS\0\x02", "audio", "audio/ogg"),
        (b"<svg xmlns", "image", ""),
        (b"", "video", ""),
    ],
)
def test_files_are_known_by_their_first_bytes(head: bytes, kind: str, found: str) -> None:
    assert media_type(head, kind) == found


def test_what_is_broken_is_an_item_that_says_why(ws: Workspace) -> None:
    (ws.root / "good.png").write_bytes(png(np.zeros((4, 4))))
    (ws.root / "empty.png").write_bytes(b"")
    (ws.root / "text.png").write_text("no picture")
    files = ["gone.png", "good.png", "empty.png", "text.png"]
    create(ws, "photos", Rows(pl.DataFrame({"f": files})), "image", CLASSES)
    assert [one.media for one in claim(ws, "photos", "jo").items] == ["", "image/png", "", ""]
    for item, says in [(0, "no file 'gone.png'"), (2, "it is empty"), (3, "it is no PNG")]:
        with pytest.raises(NotFound, match=says):
            open_media(ws, "photos", item)
    assert open_media(ws, "photos", 1).read(0, 4) == b"\x89PNG"
    # Skipping it is all that is left.
    body = {"events": [{"ev": "s", "item": 0, "kind": "skip", "reason": "broken"}]}
    assert answer(ws, "photos", "jo", "events", body)["counts"]["skipped"] == 1


def test_rows_are_shown_with_all_their_columns_or_some(ws: Workspace) -> None:
    from datetime import date

    frame = pl.DataFrame(
        {
            "id": [7],
            "city": ["Ulm"],
            "when": [date(2026, 1, 2)],
            "rain": [float("nan")],
            "n": [[1, 2]],
        }
    )
    task = create(ws, "rows", Rows(frame), "row", CLASSES, key="id")
    assert task.column == "id,city,when,rain,n"
    (item,) = claim(ws, "rows", "jo").items
    assert json.loads(item.text or "") == {
        "id": 7,
        "city": "Ulm",
        "when": "2026-01-02",
        "rain": "nan",
        "n": [1, 2],
    }
    create(ws, "some", Rows(frame), "row", CLASSES, column="city, when")
    assert upcoming(ws, "some", 1).items[0][2] == '{"city": "Ulm", "when": "2026-01-02"}'
    with pytest.raises(NotFound, match="did you mean 'city'"):
        create(ws, "none", Rows(frame), "row", CLASSES, column="city,citi")


def test_pairs_are_two_texts_or_two_pictures(ws: Workspace) -> None:
    create(ws, "texts", Rows(pl.DataFrame({"b": ["x"], "a": ["y"]})), "pair")
    assert json.loads(claim(ws, "texts", "jo").items[0].text or "") == {"left": "x", "right": "y"}
    light, dark = png(np.full((4, 4), 250, np.uint8)), png(np.zeros((6, 4)))
    (ws.root / "dark.png").write_bytes(dark)
    rows = pl.DataFrame({"id": [1], "left": [light], "right": ["dark.png"]})
    task = create(ws, "looks", Rows(rows), "pair")
    assert (task.answer, task.column) == ("pairwise", "left,right")
    left, right = (open_media(ws, "looks", 0, side) for side in ("left", "right"))
    assert (left.read(), right.read(), right.type) == (light, dark, "image/png")
    assert left.digest != right.digest
    with pytest.raises(NotFound, match="two pictures"):
        open_media(ws, "looks", 0)
    with pytest.raises(Invalid, match="which two columns"):
        create(ws, "three", Rows(pl.DataFrame({"x": ["a"], "y": ["b"], "z": ["c"]})), "pair")


def test_a_film_outside_the_workspace_is_refused(ws: Workspace, tmp_path_factory: object) -> None:
    outside = Path(ws.root).parent / "film.webm"
    outside.write_bytes(b"\x1aE\xdf\xa3")
    with pytest.raises(Invalid, match="outside the workspace"):
        create(ws, "films", Rows(pl.DataFrame({"f": ["../film.webm"]})), "video", CLASSES)
