"""Agreement is what software says of it that nobody here wrote, and what its definition says."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import binary_distance, interval_distance
from pycocotools import mask
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa, to_table

from jupyter_mlops.labeling import agreement, commit, create
from jupyter_mlops.labeling.coefficients import alpha, cohen, fleiss
from jupyter_mlops.labeling.similarity import box_iou, similarity
from jupyter_mlops.workspace import Workspace

from .conftest import Rows, label

Floats = npt.NDArray[np.float64]


def ratings(seed: int, gaps: float = 0.0, items: int = 24, people: int = 4) -> Floats:
    """What people said of items, 1 to 5; half of it is guessed."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(1, 6, (items, 1))
    shape = (items, people)
    found = np.where(chance.random(shape) < 0.5, truth, chance.integers(1, 6, shape)).astype(float)
    found[chance.random(shape) < gaps] = np.nan
    return found


def oracle(table: Floats, distance: Any) -> float:
    """NLTK's alpha; an item that one person alone answered can't be paired, and is left out."""
    told = [
        (str(person), str(item), float(value))
        for item, row in enumerate(table)
        if (~np.isnan(row)).sum() > 1
        for person, value in enumerate(row)
        if not np.isnan(value)
    ]
    return float(AnnotationTask(data=told, distance=distance).alpha())


def ordinal(table: Floats) -> float:
    """Krippendorff's alpha from its definition: pair by pair, ranks by counting."""
    units = [row[~np.isnan(row)] for row in table]
    units = [row for row in units if len(row) > 1]
    values = np.concatenate(units)

    def distance(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(low <= one <= high for one in values)
        return float(between - ((values == low).sum() + (values == high).sum()) / 2) ** 2

    observed = sum(
        distance(a, b) / (len(row) - 1) for row in units for a, b in permutations(row, 2)
    ) / len(values)
    expected = sum(distance(a, b) for a, b in permutations(values, 2)) / (
        len(values) * (len(values) - 1)
    )
    return 1 - observed / expected


@pytest.mark.parametrize(("seed", "gaps"), [(1, 0.0), (2, 0.2), (3, 0.5)])
def test_alpha_is_that_of_nltk_and_of_its_definition(seed: int, gaps: float) -> None:
    table = ratings(seed, gaps)
    assert alpha(table).value == pytest.approx(oracle(table, binary_distance))
    assert alpha(table, "interval").value == pytest.approx(oracle(table, interval_distance))
    assert alpha(table, "ordinal").value == pytest.approx(ordinal(table))


def test_kappas_are_those_of_statsmodels() -> None:
    table = ratings(4).astype(int)
    counts = np.array([[(row == one).sum() for one in range(1, 6)] for row in table])
    assert fleiss(table).value == pytest.approx(fleiss_kappa(counts))
    first, second = table[:, 0], table[:, 1]
    cells = to_table(np.array([first, second]).T - 1, bins=5)[0]
    assert cohen(first, second).value == pytest.approx(cohens_kappa(cells).kappa)
    weighted = cohens_kappa(cells, wt="quadratic")
    assert cohen(first, second, "quadratic").value == pytest.approx(weighted.kappa)
    # Statsmodels has its interval from a formula, ours comes from drawing items.
    ours, theirs = cohen(first, second), cohens_kappa(cells)
    assert ours.high - ours.low == pytest.approx(theirs.kappa_upp - theirs.kappa_low, rel=0.25)


def boxes(seed: int, count: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng(seed)
    return [
        {
            "label": "ab"[int(chance.integers(0, 2))],
            **dict(zip(("x", "y"), chance.uniform(0, 60, 2).round(2), strict=True)),
            **dict(zip(("width", "height"), chance.uniform(10, 50, 2).round(2), strict=True)),
        }
        for _ in range(count)
    ]


def coco(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Floats:
    sides = ("x", "y", "width", "height")
    first, second = ([[one[side] for side in sides] for one in each] for each in (a, b))
    return np.asarray(mask.iou(np.array(first), np.array(second), [0] * len(second)))


@pytest.mark.parametrize("seed", range(5))
def test_matched_iou_is_the_best_matching_of_pycocotools_overlaps(seed: int) -> None:
    a, b = boxes(seed, 4), boxes(seed + 100, 3)
    found = coco(a, b)
    assert box_iou(a, b) == pytest.approx(found)
    # Every way to pair each of the three with another of the four.
    best = max(
        sum(found[row, n] * (a[row]["label"] == b[n]["label"]) for n, row in enumerate(rows))
        for rows in permutations(range(4), 3)
    )
    assert similarity("boxes", a, b) == pytest.approx(2 * best / 7)


def test_alpha_over_tokens_is_nltks_over_words(ws: Workspace) -> None:
    texts = ["Ada met Bob in Oslo", "nobody met anybody", "Oslo is cold"]
    task = create(
        ws,
        "names",
        Rows(pl.DataFrame({"t": texts})),
        "text",
        ["who", "where"],
        answer="spans",
        settings={"overlap": 2},
    )
    said = {
        "jo": [[("who", 0, 3), ("who", 8, 11), ("where", 15, 19)], [], [("where", 0, 4)]],
        "ana": [[("who", 0, 11), ("where", 15, 19)], [("who", 0, 6)], [("who", 0, 4)]],
    }
    told = []
    for person, marks in said.items():
        for item, found in enumerate(marks):
            value = [dict(zip(("label", "start", "end"), one, strict=True)) for one in found]
            commit(ws, task.id, person, [label(f"{person}{item}", item, value)])
            start = 0
            for word in texts[item].split():
                name = [n for n, low, high in found if low < start + len(word) and start < high]
                told.append((person, f"{item}:{start}", name[0] if name else "nothing"))
                start += len(word) + 1
    measure = agreement(ws, task.id).measures[0]
    assert measure.name == "Alpha over tokens"
    assert measure.estimate.value == pytest.approx(AnnotationTask(data=told).alpha())
    # Words of one text aren't cases of their own.
    assert measure.estimate.n == 3


def test_alpha_over_frames_is_nltks_over_tenths_of_a_second(ws: Workspace) -> None:
    rows = Rows(pl.DataFrame({"s": [_silence(2), _silence(3)]}))
    more: dict[str, Any] = {"answer": "regions", "settings": {"overlap": 3}}
    task = create(ws, "sounds", rows, "audio", ["bird", "car"], **more)
    said = {
        "jo": [[("bird", 0.0, 0.5), ("car", 1.0, 1.5)], [("bird", 0.2, 1.2)]],
        "ana": [[("bird", 0.1, 0.6)], [("car", 0.2, 1.2)]],
        "bo": [[("bird", 0.0, 0.5), ("car", 1.2, 1.8)], [("bird", 0.4, 1.6)]],
    }
    last = [1.8, 1.6]
    told = []
    for person, marks in said.items():
        for item, found in enumerate(marks):
            value = [dict(zip(("label", "start", "end"), one, strict=True)) for one in found]
            commit(ws, task.id, person, [label(f"{person}{item}", item, value)])
            for frame in range(round(last[item] * 10)):
                at = frame / 10 + 0.05
                names = [name for name, start, end in found if start <= at < end]
                told.append((person, f"{item}:{frame}", names[0] if names else "nothing"))
    measure = agreement(ws, task.id).measures[0]
    assert measure.name == "Alpha over frames of 0.1 s"
    assert measure.estimate.value == pytest.approx(AnnotationTask(data=told).alpha())
    assert measure.estimate.n == 2


def test_each_answer_is_told_by_the_measure_that_fits_it(ws: Workspace) -> None:
    table = ratings(6, items=12, people=3)
    rows = Rows(pl.DataFrame({"t": [f"text {n}" for n in range(12)]}))
    scaled = create(ws, "scaled", rows, "text", answer="rating", settings={"overlap": 3})
    plain = create(ws, "plain", rows, "text", list("12345"), settings={"overlap": 3})
    for person, said in zip(("jo", "ana", "bo"), table.T, strict=True):
        for name, task, read in (("s", scaled, int), ("p", plain, lambda one: str(int(one)))):
            given = [label(f"{name}{person}{n}", n, read(one)) for n, one in enumerate(said)]
            assert not commit(ws, task.id, person, given).refused
    by_scale = {one.name: one.estimate.value for one in agreement(ws, "scaled").measures}
    assert by_scale["Krippendorff's alpha, ordinal"] == pytest.approx(ordinal(table))
    interval = oracle(table, interval_distance)
    assert by_scale["Krippendorff's alpha, interval"] == pytest.approx(interval)
    by_class = {one.name: one.estimate.value for one in agreement(ws, "plain").measures}
    nominal = oracle(table, binary_distance)
    assert by_class["Krippendorff's alpha, nominal"] == pytest.approx(nominal)
    counts = np.array([[(row == one).sum() for one in range(1, 6)] for row in table])
    assert by_class["Fleiss' kappa"] == pytest.approx(fleiss_kappa(counts))
    equal = np.mean([np.mean([a == b for a, b in combinations(row, 2)]) for row in table])
    assert by_class["Equal answers"] == pytest.approx(equal)
    pair = next(
        one for one in agreement(ws, "plain").pairs if {one.first, one.second} == {"jo", "bo"}
    )
    cells = to_table(table[:, [0, 2]].astype(int) - 1, bins=5)[0]
    assert pair.estimate.value == pytest.approx(cohens_kappa(cells).kappa)


def _silence(seconds: int) -> bytes:
    import io
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(1000)
        out.writeframes(b"\0\0" * 1000 * seconds)
    return file.getvalue()
