"""What a column means is named from its values, with the evidence kept."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.profiling import Profile, profile
from jupyter_mlops.profiling.semantics import date_format
from jupyter_mlops.profiling.written import reading_code

N = 400
RNG = np.random.default_rng(0)


def some(*values: Any) -> list[Any]:
    return RNG.choice(np.array(values, dtype=object), N).tolist()


def text(form: str) -> list[str]:
    return [form.format(i=i, m=i % 12 + 1, d=i % 28 + 1, b=i % 250) for i in range(N)]


#: Column, values, semantic type, and what must be among the evidence.
KINDS: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("mail", text("a{i}@b.org"), "e-mail", {"share": 1.0, "tested": N}),
    ("site", text("https://x.org/{i}"), "URL", {}),
    ("line", text("+1 212-555-{i:04d}"), "phone", {}),
    ("bracketed", text("(212) 555-{i:04d}"), "phone", {}),
    ("tel", text("2125550{i:03d}"), "phone", {}),
    ("zip", text("{i:05d}"), "postal code", {"leading zeros": True}),
    ("home_zip", list(range(10_000, 10_000 + 100)) * 4, "postal code", {"as number": True}),
    ("code", some("001", "012", "113", "840"), "code", {"leading zeros": True}),
    ("district", some("SW1A 1AA", "M1 1AE", "B33 8TH"), "postal code", {}),
    ("host", text("10.0.{b}.7"), "IP address", {}),
    ("picture", text("img/{i}.jpg"), "path", {"media": "image"}),
    ("sound", text("{i}.wav"), "path", {"media": "audio"}),
    ("script", text("/a/b/{i}.py"), "path", {}),
    ("payload", text('{{"a": {i}}}'), "JSON in text", {}),
    ("shape", text("POINT ({i} 3)"), "geometry in text", {}),
    ("uuid", text("{i:08x}-0000-4000-8000-{i:012x}"), "id", {"shape": "uuid"}),
    ("sum", some(*[md5(bytes([i])).hexdigest() for i in range(60)]), "hash", {}),
    ("price", text("${i},100.50"), "currency in text", {"unit": "$", "decimal": "."}),
    ("preis", text("1.{i:03d},50 €"), "currency in text", {"unit": "€", "decimal": ","}),
    ("tax", text("{d}.5%"), "per cent in text", {"unit": "%"}),
    ("komma", text("{i},5"), "number in text", {"decimal": ","}),
    ("gaps", [f"{i}.5" if i % 10 else "N/A" for i in range(N)], "number in text", {"tested": 360}),
    ("loss", [f"({i})" if i % 2 else f"{i}" for i in range(N)], "number in text", {}),
    ("lone", text("{d},{i:03d}"), "number in text", {"unsure": True}),
    ("agreed", some("yes", "no"), "boolean in text", {"true": ["yes"]}),
    ("spelt", some("Yes", "NO", "y", "No"), "boolean in text", {"true": ["Yes", "y"]}),
    ("ja", some("ja", "nein"), "boolean in text", {"true": ["ja"]}),
    ("digit", some("0", "1"), "boolean in text", {"true": ["1"]}),
    ("bit", RNG.integers(0, 2, N), "boolean", {}),
    ("bit_with_gaps", some(0.0, 1.0, None), "boolean", {}),
    ("iso", text("2013-{m:02d}-{d:02d}"), "date in text", {"format": "%Y-%m-%d"}),
    ("us", text("{m}/{d}/2013"), "date in text", {"format": "%m/%d/%Y"}),
    ("uk", text("{d}/{m}/2013"), "date in text", {"format": "%d/%m/%Y"}),
    ("either", text("{m}/{m}/2013"), "date in text", {"or": "%d/%m/%Y"}),
    ("zoned", text("2013-01-{d:02d}T10:00:00Z"), "date in text", {"format": "ISO8601"}),
    ("plain", text("2013{m:02d}{d:02d}"), "date in text", {"format": "%Y%m%d"}),
    ("month", text("{d} Jan 2013"), "date in text", {"format": "%d %b %Y"}),
    ("both", [f"0{i % 9 + 1}.01.2013" if i % 2 else "2013-02-01" for i in range(N)],
     "date in text", {"format": "mixed"}),
    ("size", some("small", "Large", "medium"), "ordinal", {"order": ["small", "medium", "Large"]}),
    ("shirt", some("S", "XL", "M", "L"), "ordinal", {"order": ["S", "M", "L", "XL"]}),
    ("opinion", some("Agree", "Neutral", "Strongly agree"), "ordinal",
     {"order": ["Neutral", "Agree", "Strongly agree"]}),
    ("grade", some(*"ABCDF"), "ordinal", {"order": ["F", "D", "C", "B", "A"]}),
    ("ages", some("51+", "18-25", "<18", "26-50"), "ordinal",
     {"order": ["<18", "18-25", "26-50", "51+"]}),
    ("stars", RNG.integers(1, 6, N), "ordinal", {"order": [1, 2, 3, 4, 5]}),
    ("letter", some(*"ABC"), "category", {}),
    ("town", some("Bonn", "Leeds", "n/a"), "category", {}),
    ("note", text("this is quite a long remark {i} of some kind"), "text", {}),
    ("plate", text("N{i}AA"), "id", {}),
    ("latitude", RNG.normal(50, 3, N), "latitude", {}),
    ("lng", RNG.normal(9, 3, N), "longitude", {}),
    ("amount", RNG.normal(9, 3, N), "number", {}),
    ("nearly", ["a"] * (N - 2) + ["b", "b"], "category", {"nearly": 0.995}),
    ("same", ["a"] * N, "constant", {}),
    ("none", [None] * N, "empty", {}),
    ("vector", pl.Series([[float(i)] * 8 for i in range(N)]), "embedding", {"size": 8}),
    ("list", [[i] * (i % 3) for i in range(N)], "nested", {}),
    ("when", [datetime(2020, 1, 1) + timedelta(hours=i * i % 999) for i in range(N)],
     "datetime", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Profile:
    return profile(pl.DataFrame({name: values for name, values, _, _ in KINDS}).lazy())


@pytest.mark.parametrize(("name", "kind", "evidence"), [(n, k, e) for n, _, k, e in KINDS])
def test_a_column_is_named_and_the_evidence_kept(
    made: Profile, name: str, kind: str, evidence: dict[str, Any]
) -> None:
    column = made.columns[name]
    assert column.semantic == kind
    assert {key: column.meaning.get(key) for key in evidence} == evidence


def test_the_evidence_survives_json(made: Profile) -> None:
    back = Profile.from_dict(json.loads(json.dumps(made.to_dict())))
    for name, column in made.columns.items():
        assert back.columns[name].meaning == column.meaning
    assert back.advice == made.advice


READ: list[tuple[str, str, list[float]]] = [
    ("point", "$1,100.50|$2.25", [1100.5, 2.25]),
    ("comma", "1.100,50 €|2,25 €", [1100.5, 2.25]),
    ("spaces", "1 100,5|2,25", [1100.5, 2.25]),
    ("swiss", "1'100,5|2,25", [1100.5, 2.25]),
    ("share", "12%|5.5%", [0.12, 0.055]),
    ("brackets", "(12)|5", [-12.0, 5.0]),
    ("thousands", "12k|1.5M", [12e3, 1.5e6]),
    ("powers", "1e3|2.5E-2", [1000.0, 0.025]),
    ("minus", "−3|+4", [-3.0, 4.0]),
    ("behind", "USD 12.5|USD 3", [12.5, 3.0]),
]


@pytest.mark.parametrize(("name", "values", "numbers"), READ)
def test_numbers_in_text_are_read_by_their_own_marks(
    name: str, values: str, numbers: list[float]
) -> None:
    frame = pd.DataFrame({name: values.split("|") * 30 + ["n/a"]})
    column = profile(pl.from_pandas(frame).lazy()).columns[name]
    space = {"df": frame, "pd": pd}
    exec(reading_code(name, column.semantic, column.meaning), space)
    assert frame[name].tolist()[:2] == pytest.approx(numbers)
    assert frame[name].isna().sum() == 1


def test_codes_with_leading_zeros_are_never_cast() -> None:
    made = profile(pl.LazyFrame({"x": ["00123", "94105", "10001"] * 50}))
    assert made.columns["x"].semantic == "code"
    assert not [one for one in made.advice if "number" in one.finding]


def test_degrees_need_both_names_and_ranges() -> None:
    x = RNG.normal(50, 3, N)
    for frame in ({"lat": x, "height": x}, {"lat": x * 100, "lon": x}):
        made = profile(pl.LazyFrame(frame))
        assert {column.semantic for column in made.columns.values()} == {"number"}


def test_what_fits_too_few_values_is_not_named() -> None:
    mails = [f"a{i}@b.org" for i in range(97)] + ["nobody", "none at all", "x y"]
    assert profile(pl.LazyFrame({"x": mails})).columns["x"].semantic != "e-mail"
    dates = [f"2013-01-{i % 28 + 1:02d}" for i in range(95)] + [f"soon {i}" for i in range(5)]
    assert date_format(pl.Series(dates)) is None
    impossible = pl.Series([f"2013-{i % 40 + 10}-77" for i in range(90)])
    assert date_format(impossible) is None
