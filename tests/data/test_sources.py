"""Data is read from where it is, with types that hold for every row, or one clear sentence."""

from __future__ import annotations

import bz2
import gzip
import time
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from jupyter_mlops.data import LazySource, Table, digest, open_source, register
from jupyter_mlops.data.sources import Request
from jupyter_mlops.workspace import Invalid, NotFound, Unavailable


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_year_of_flights_is_read_with_its_types(nyc: dict[str, Path]) -> None:
    source = open_source(str(nyc["flights.csv.zip"]))
    schema = source.schema()
    assert schema["arr_delay"] == pl.Int64
    assert schema["tailnum"] == pl.String
    assert schema["time_hour"] == pl.Datetime("us", "UTC")
    counts = source.scan().select(pl.len(), n=pl.col("arr_delay").null_count()).collect()
    assert counts.row(0) == (336_776, 9_430)


def test_csv_types_hold_for_every_row(tmp_path: Path) -> None:
    lines = ["a,b,c,zip,id"] + [f"1,NA,{i},0050{i % 10},99999999999999999999" for i in range(15000)]
    lines += ["x,2013-05-01,0.5,00501,1"]
    schema = open_source(write(tmp_path, "x.csv", "\n".join(lines))).schema()
    assert list(schema.values()) == [pl.String, pl.Date, pl.Float64, pl.String, pl.String]


@pytest.mark.parametrize(
    ("field", "dtype"),
    [
        ("2013-01-01", pl.Date),
        ("2013-01-01 05:00:00", pl.Datetime("us")),
        ("2013-01-01T05:00", pl.Datetime("us")),
        ("2013-01-01T05:00:00.123Z", pl.Datetime("us", "UTC")),
        ("2013-01-01T05:00:00+02:00", pl.Datetime("us", "UTC")),
        ("TRUE", pl.Boolean),
        ("-7", pl.Int64),
        ("1e-3", pl.Float64),
        ("inf", pl.Float64),
        ("05:30", pl.String),
    ],
)
def test_csv_fields_become_what_they_say(tmp_path: Path, field: str, dtype: Any) -> None:
    source = open_source(write(tmp_path, "x.csv", f"a,b\n{field},1\nNA,2\n"))
    assert source.schema()["a"] == dtype
    assert source.scan().collect()["a"].null_count() == 1


def test_packed_and_other_separators_read_the_same(tmp_path: Path) -> None:
    text = "a,b\n1,x\n2,y\n"
    plain = write(tmp_path, "x.csv", text)
    write(tmp_path, "x.csv.gz", gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../inside.csv", text)
    write(tmp_path, "x.tsv", text.replace(",", "\t"))
    write(tmp_path, "semicolon.csv", text.replace(",", ";"))
    write(tmp_path, "x.jsonl", '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n')
    write(tmp_path, "x.json", '[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]')
    write(tmp_path, "x.csv.bz2", bz2.compress(text.encode()))
    with pa.output_stream(str(tmp_path / "x.csv.zst"), compression="zstd") as file:
        file.write(text.encode())
    write(tmp_path, "x.jsonl.gz", gzip.compress((tmp_path / "x.jsonl").read_bytes()))
    write(tmp_path, "utf16.csv", text.encode("utf-16"))
    pl.read_csv(tmp_path / "x.csv").write_ipc(tmp_path / "x.feather", compression="zstd")
    pl.read_csv(tmp_path / "x.csv").write_ipc_stream(tmp_path / "stream.arrow")
    names = ["x.csv.gz", "x.zip", "x.tsv", "semicolon.csv", "x.jsonl", "x.json"]
    names += ["x.csv.bz2", "x.csv.zst", "x.jsonl.gz", "utf16.csv", "x.feather", "stream.arrow"]
    digests = {open_source(str(tmp_path / name)).digest() for name in names}
    assert digests == {open_source(plain).digest()} == {open_source(f"file://{plain}").digest()}


def test_names_with_quotes_markup_and_newlines_survive(tmp_path: Path) -> None:
    names = ["it's", '<b>"bold"</b>', "two\nlines", ""]
    frame = pl.DataFrame({name: [1] for name in names})
    frame.write_csv(tmp_path / "x.csv")
    assert open_source(str(tmp_path / "x.csv")).scan().collect().columns == names


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", "a,b\n1,2\n1,2,3\n", "line 3 of x.csv has 3 fields where the header has 2"),
        ("x.csv", b"a,b\n1,2\n1,\xe9\n", "line 3 of x.csv is not UTF-8 (byte 0xe9 at column 3)"),
        ("x.csv", "a,b\n1,é\n".encode("utf-16-le"), "x.csv is no UTF-8 text: it holds zero bytes"),
        ("x.csv.bz2", b"PK", "x.csv.bz2 can't be read"),
        ("x.csv.zst", b"PK", "x.csv.zst can't be read"),
        ("x.json", '[{"a": 1},\n 2 3]', "line 2 of x.json is not JSON"),
        ("x.arrow", b"PK", "can't be read as Arrow"),
        ("x.csv", 'a,b\n1,2\n"3,4\n5,6\n', "line 3 of x.csv starts a row that can't be read"),
        ("x.csv", "", "x.csv is empty"),
        ("x.csv", "a,b,a\n1,2,3\n", "two columns of x.csv are called 'a'"),
        ("x.csv.gz", b"PK", "x.csv.gz can't be read"),
        ("x.csv.zip", b"PK", "x.csv.zip is a damaged or locked archive"),
        ("x.jsonl", '{"a": 1}\n{"a": 2\n', "line 2 of x.jsonl is not JSON"),
        ("x.jsonl", "1\n", "line 1 of x.jsonl is no JSON object"),
        ("x.jsonl", "", "x.jsonl is empty"),
        ("x.parquet", b"PAR1", "can't be read as Parquet"),
        ("x.docx", b"PK", "x.docx is in no format that is read here"),
    ],
)
def test_bad_files_get_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    with pytest.raises(Invalid) as caught:
        open_source(write(tmp_path, name, content)).scan().collect()
    assert says in caught.value.what
    assert caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_fault_in_the_last_of_many_lines_is_found(tmp_path: Path) -> None:
    text = b"a,b\n" + b"1,2\n" * 100_000 + b"1,\xff\n"
    with pytest.raises(Invalid, match=r"line 100002 of x\.csv is not UTF-8"):
        open_source(write(tmp_path, "x.csv", text)).schema()


def test_a_missing_file_names_the_closest(tmp_path: Path) -> None:
    write(tmp_path, "flights.csv", "a\n1\n")
    with pytest.raises(NotFound, match=r"did you mean 'flights\.csv'"):
        open_source(str(tmp_path / "fligths.csv"))
    with pytest.raises(NotFound, match="doesn't exist"):
        open_source(str(tmp_path / "nowhere" / "x.csv"))


def test_parquet_files_of_different_columns_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"b": [1]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(Invalid, match=r"2\.parquet differs in 'a' from 1\.parquet"):
        open_source(str(tmp_path / "*.parquet")).digest()


def test_passwords_and_unknown_schemes_are_refused() -> None:
    with pytest.raises(Invalid, match="holds a password") as caught:
        open_source("s3://me:hunter2@bucket/x.parquet")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Invalid, match="nothing here reads gopher://"):
        open_source("gopher://host/x")


def test_other_packages_can_add_a_scheme() -> None:
    class Numbers(LazySource):
        def __init__(self, request: Request) -> None:
            self.uri = request.uri

        def scan(self) -> pl.LazyFrame:
            return pl.LazyFrame({"n": range(int(self.uri.rpartition("/")[2]))})

    register("numbers", Numbers)
    source = open_source("numbers://first/1000")
    assert source.sample(10).height == 10
    assert source.sample(10).equals(source.sample(10))


def test_a_sample_is_spread_evenly(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(300_000)})
    frame.write_parquet(tmp_path / "x.parquet")
    drawn = open_source(str(tmp_path / "x.parquet")).sample(3000)["n"]
    assert drawn.is_sorted()
    assert drawn.n_unique() == 3000
    assert abs(drawn.mean() / 150_000 - 1) < 0.03  # type: ignore[operator]


def test_some_rows_and_columns_of_a_file_are_read(tmp_path: Path) -> None:
    pl.DataFrame({"n": range(100), "kind": ["a", "b"] * 50}).write_parquet(tmp_path / "x.parquet")
    source = open_source(str(tmp_path / "x.parquet"), where="n >= 90 AND kind = 'b'", columns=["n"])
    assert source.scan().collect().to_dict(as_series=False) == {"n": [91, 93, 95, 97, 99]}
    assert source.provenance() == {"where": "n >= 90 AND kind = 'b'", "columns": ["n"]}


def test_a_condition_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    pl.DataFrame({"n": range(100)}).write_parquet(tmp_path / "x.parquet")
    path = str(tmp_path / "x.parquet")
    with pytest.raises(Invalid, match="the condition 'm > 1' can't be used on"):
        open_source(path, where="m > 1").scan()
    with pytest.raises(NotFound, match="has no column 'm'"):
        open_source(path, columns=["m"]).scan()
    with pytest.raises(Invalid, match="takes no --window"):
        open_source(path, window="10m")


def test_text_of_another_encoding_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "old.csv", "name,n\ncafé,1\n".encode("cp1252"))
    with pytest.raises(Invalid, match=r"name the encoding .* 'old\.csv#encoding=cp1252'"):
        open_source(path).scan()
    found = open_source(f"{path}#encoding=cp1252").scan().collect()
    assert found.to_dicts() == [{"name": "café", "n": 1}]
    with pytest.raises(Invalid, match="'cp125' is no encoding: did you mean 'cp1252'"):
        open_source(f"{path}#encoding=cp125")
    with pytest.raises(Invalid, match="is not utf-8 throughout: it can't be decoded near byte 11"):
        open_source(f"{path}#encoding=utf8").scan()
    mixed = write(tmp_path, "mixed.csv", "n\né\n".encode() + b"\xe9\n")
    with pytest.raises(Invalid, match=r"line 3 of mixed\.csv .* so it mixes encodings"):
        open_source(mixed).scan()


def test_folders_named_after_values_are_columns_with_types(tmp_path: Path) -> None:
    for month, kind in (("01", "a%20b"), ("12", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "top=1" / "days" / f"month={month}" / f"kind={kind}"
        folder.mkdir(parents=True)
        pl.DataFrame({"v": [int(month)]}).write_parquet(folder / "x.parquet")
        pl.DataFrame({"v": [int(month)]}).write_ipc(folder / "x.arrow")
    for ending in ("parquet", "arrow"):
        source = open_source(str(tmp_path / "top=1" / "days" / "**" / f"*.{ending}"))
        assert source.schema() == {"v": pl.Int64, "month": pl.Int64, "kind": pl.String}
        assert source.scan().collect().rows() == [(1, 1, "a b"), (12, 12, None)]
        assert source.scan().filter(pl.col("month") > 1).collect().height == 1
    pl.DataFrame({"v": [1]}).write_parquet(tmp_path / "top=1" / "days" / "stray.parquet")
    with pytest.raises(Invalid, match=r"stray\.parquet is not"):
        open_source(str(tmp_path / "top=1" / "days" / "**" / "*.parquet")).scan()


@pytest.mark.parametrize(
    ("one", "other", "read"),
    [
        (pl.Int32, pl.Int64, pl.Int64),
        (pl.Int64, pl.Float64, pl.Float64),
        (pl.Null, pl.String, pl.String),
        (pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("us")),
        (pl.Decimal(9, 2), pl.Decimal(12, 4), pl.Decimal(12, 4)),
        (pl.Datetime("us", "Europe/Paris"), pl.Datetime("us", "UTC"), pl.Datetime("us", "UTC")),
        (pl.List(pl.Int8), pl.List(pl.Int64), pl.List(pl.Int64)),
        (pl.Int64, pl.String, None),
        (pl.UInt64, pl.Int64, None),
        (pl.Datetime("us"), pl.Datetime("us", "UTC"), None),
        (pl.Int64, pl.Date, None),
    ],
)
def test_types_that_only_widen_between_files_are_read(
    tmp_path: Path, one: Any, other: Any, read: Any
) -> None:
    pl.DataFrame({"a": [1], "v": [None]}, schema={"a": pl.Int8, "v": one}).write_parquet(
        tmp_path / "1.parquet"
    )
    pl.DataFrame({"v": [None], "a": [2]}, schema={"v": other, "a": pl.Int64}).write_parquet(
        tmp_path / "2.parquet"
    )
    source = open_source(str(tmp_path / "*.parquet"))
    if read is None:
        with pytest.raises(Invalid, match=r"2\.parquet differs in 'v' from 1\.parquet: it is"):
            source.scan()
    else:
        assert source.schema() == {"a": pl.Int64, "v": read}
        assert source.scan().collect()["a"].to_list() == [1, 2]


def test_csv_files_of_different_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", "a,b\n1,2\n")
    write(tmp_path, "2.csv", "a,c\n1,2\n")
    with pytest.raises(Invalid, match=r"2\.csv differs in 'c' from 1\.csv"):
        open_source(str(tmp_path / "*.csv")).scan()


def test_ten_thousand_columns_and_very_long_texts_are_read(tmp_path: Path) -> None:
    wide = {f"c{i}": [None, i, i / 7][i % 3] for i in range(10_000)}
    pl.DataFrame([wide] * 5).write_csv(tmp_path / "wide.csv")
    started = time.process_time()
    schema = open_source(str(tmp_path / "wide.csv")).schema()
    assert (schema["c0"], schema["c1"], schema["c2"]) == (pl.String, pl.Int64, pl.Float64)
    assert time.process_time() - started < 15
    path = write(tmp_path, "long.csv", "a,b\n1," + "x" * 20_000_000 + "\n2,y\n")
    lengths = open_source(path).scan().select(pl.col("b").str.len_bytes()).collect()
    assert lengths["b"].to_list() == [20_000_000, 1]


def test_unusual_values_keep_their_meaning_and_their_digest(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "empty": pl.Series([None, None], dtype=pl.Null),
            "inf": [float("inf"), float("-inf")],
            "money": pl.Series(["1.10", "2.25"]).cast(pl.Decimal(9, 2)),
            "when": pl.Series([0, 10**15]).cast(pl.Datetime("us", "Asia/Tokyo")),
            "nested": [{"x": [1, None], "y": {"z": "a"}}, None],
            '<b>"q"</b>\n': ["a\nb", "<script>"],
        }
    )
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ipc(tmp_path / "x.arrow")
    for name in ("x.parquet", "x.arrow"):
        source = open_source(str(tmp_path / name))
        assert source.scan().collect().equals(frame)
        assert source.digest() == digest(frame.lazy())


def test_json_types_hold_for_every_record(tmp_path: Path) -> None:
    lines = [f'{{"a": {i}, "n": {{"x": [{i}]}}}}' for i in range(12_000)]
    lines += ['{"a": "text", "n": {"x": [0.5], "y": true}}', '{"late": 1, "bare": {}}']
    source = open_source(write(tmp_path, "x.jsonl", "\n".join(lines)))
    assert source.schema() == {
        "a": pl.String,
        "n": pl.Struct({"x": pl.List(pl.Float64), "y": pl.Boolean}),
        "late": pl.Int64,
        "bare": pl.Null,
    }
    assert source.scan().select(pl.len()).collect().item() == 12_002


def test_a_file_that_goes_away_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"n": range(10)}).write_parquet(path)
    source = open_source(str(path))
    table = Table(source)
    frame = source.scan()
    path.unlink()
    with pytest.raises(NotFound, match=r"x\.parquet is gone"):
        source.scan()
    source.scan = lambda: frame  # type: ignore[method-assign]
    for read in (lambda: table.rows, lambda: table.digest, table.polars, table.pandas):
        with pytest.raises(NotFound, match="went away while it was read"):
            read()


@pytest.mark.parametrize(("name", "scheme"), [("a.sqlite", "sqlite"), ("b.DuckDB", "duckdb")])
def test_a_database_s_file_is_told_how_to_be_named(tmp_path: Path, name: str, scheme: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(Invalid) as told:
        open_source(str(tmp_path / name))
    assert f"{scheme}:///{name}#TABLE" in told.value.fix


def test_a_folder_that_may_not_be_read_through_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")

    def denied(path: Path) -> bool:
        if path == tmp_path:
            return True
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", lambda path: path == tmp_path)
    # root, who runs the tests in CI's containers, may read every folder.
    monkeypatch.setattr(Path, "is_file", lambda path: path != tmp_path and denied(path))
    with pytest.raises(Unavailable, match="can't be read: Permission denied"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("ending", ["parquet", "csv", "arrow", "jsonl", "csv.gz"])
@pytest.mark.parametrize("name", ["year [2024]", "why?", "all*"])
def test_names_that_look_like_patterns_are_names(tmp_path: Path, name: str, ending: str) -> None:
    folder = tmp_path / name / "part"
    folder.mkdir(parents=True)
    frame = pl.DataFrame({"a": [1, 2, 3]})
    write_as = {
        "parquet": frame.write_parquet,
        "csv": frame.write_csv,
        "arrow": frame.write_ipc,
        "jsonl": frame.write_ndjson,
        "csv.gz": lambda path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    }[ending]
    write_as(folder / f"rows [1]?*.{ending}")
    write_as(folder / f"second.{ending}")
    # Were the name a pattern, this one would be meant by it, too.
    (tmp_path / "year 2").mkdir()
    write_as(tmp_path / "year 2" / f"other.{ending}")
    alone = open_source(str(folder / f"rows [1]?*.{ending}")).scan().collect()
    assert alone["a"].to_list() == [1, 2, 3]
    for uri in (folder, folder / f"*.{ending}", tmp_path / name / "**" / f"*.{ending}"):
        assert open_source(str(uri)).scan().collect()["a"].to_list() == [1, 2, 3] * 2
