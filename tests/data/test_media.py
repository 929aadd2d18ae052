"""A folder of pictures, sound and film is a table of what they are."""

from __future__ import annotations

import sys
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from data.storage import S3
from jupyter_mlops.data import open_source
from jupyter_mlops.workspace.errors import Unavailable


def picture(path: Path, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def sound(path: Path, seconds: float = 0.5, rate: int = 8_000, channels: int = 2) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(int(seconds * rate) * 2 * channels))


def film(path: Path, frames: int = 10, rate: int = 5) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), dtype=np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_pictures_have_labels_sizes_and_faults(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "1.png", (10, 20), "L")
    picture(tmp_path / "dog" / "2.jpg")
    (tmp_path / "dog" / "3.jpg").write_bytes(b"\xff\xd8 cut off")
    (tmp_path / "dog" / "4.png").touch()
    (tmp_path / ".cache").mkdir()
    picture(tmp_path / ".cache" / "x.png")
    source = open_source(str(tmp_path))
    found = source.scan().collect()
    assert found.schema == source.schema()
    columns = ["path", "label", "kind", "format", "width", "height", "mode", "channels", "fault"]
    assert found.select(columns).rows() == [
        ("cat/1.png", "cat", "image", "png", 10, 20, "L", 1, None),
        ("dog/2.jpg", "dog", "image", "jpeg", 64, 48, "RGB", 3, None),
        ("dog/3.jpg", "dog", "image", *[None] * 5, "it is no picture, or a damaged one"),
        ("dog/4.png", "dog", "image", *[None] * 5, "the file is empty"),
    ]
    assert found["size"].to_list()[2:] == [10, 0]
    assert found.schema["modified"] == pl.Datetime("us", "UTC")
    assert "duration" not in found.columns


def test_sound_and_film_have_durations_and_rates(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    film(tmp_path / "b.mp4")
    (tmp_path / "c.mp3").write_bytes(b"no sound at all")
    picture(tmp_path / "d.png")
    found = open_source(str(tmp_path)).scan().collect()
    assert "label" not in found.columns
    a, b, c, d = found.to_dicts()
    assert (a["kind"], a["duration"], a["sample_rate"], a["channels"]) == ("audio", 0.5, 8_000, 2)
    assert (a["codec"], a["width"]) == ("pcm_s16le", None)
    assert (b["kind"], b["duration"], b["frame_rate"]) == ("video", 2.0, 5.0)
    assert (b["width"], b["height"], b["codec"]) == (32, 16, "mpeg4")
    assert c["fault"]
    assert c["duration"] is None
    assert (d["width"], d["fault"]) == (64, None)


def test_without_its_decoder_sound_is_a_sentence_and_pictures_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    picture(tmp_path / "pictures" / "d.png")
    assert open_source(str(tmp_path / "pictures")).scan().collect().height == 1
    sound(tmp_path / "a.wav")
    with pytest.raises(Unavailable, match=r'pip install "jupyter_mlops\[media\]"'):
        open_source(str(tmp_path))


def test_pictures_in_a_bucket_are_looked_at_without_fetching_them(
    bucket: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ID", "x")
    monkeypatch.setenv("S3_KEY", "x")
    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    large = (tmp_path / "noise.png").read_bytes()
    bucket.put("lake/pictures/cat/1.png", large)
    bucket.put("lake/pictures/dog/2.png", b"nothing")
    source = open_source(f"s3://lake/pictures{bucket.options}", allow_private=True)
    fetched = _counted(monkeypatch)
    found = source.scan().collect()
    assert found.select("path", "label", "width", "size").rows() == [
        ("cat/1.png", "cat", 600, len(large)),
        ("dog/2.png", "dog", None, 7),
    ]
    assert found["fault"].to_list() == [None, "it is no picture, or a damaged one"]
    assert 0 < sum(fetched()) < len(large) / 4


def _counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    from s3fs.core import S3File

    sizes: list[int] = []
    fetch = S3File._fetch_range

    def counting(self: object, start: int, end: int) -> bytes:
        content: bytes = fetch(self, start, end)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(S3File, "_fetch_range", counting)
    return lambda: sizes
