"""How much two answers of any shape agree."""

from __future__ import annotations

import pytest

from jupyter_mlops.labeling.similarity import same, similarity


def box(x, y, width, height, name="car"):
    return {"label": name, "x": x, "y": y, "width": width, "height": height}


def marks(*bounds, name="a"):
    return [{"label": name, "start": start, "end": end} for start, end in bounds]


def polygon(*points, name="a"):
    return {"label": name, "points": [list(one) for one in points]}


SQUARE = polygon((0, 0), (10, 0), (10, 10), (0, 10))
TRIANGLE = polygon((0, 0), (10, 0), (0, 10))


@pytest.mark.parametrize(
    ("answer", "first", "second", "expected"),
    [
        ("class", "a", "b", 0),
        ("classes", [], [], 1),
        ("classes", ["a", "b", "c"], ["b", "c"], 2 / 3),
        ("text", "Dense  fog", "dense fog ", 1),
        ("rating", 1, 5, 0),
        ("boxes", [box(0, 0, 10, 10)], [box(5, 0, 10, 10)], 1 / 3),
        # A second box that only one person drew counts against both.
        ("boxes", [box(0, 0, 10, 10)], [box(0, 0, 10, 10), box(50, 0, 9, 9)], 2 / 3),
        ("boxes", [box(0, 0, 10, 10)], [box(0, 0, 10, 10, "bus")], 0),
        ("boxes", [box(0, 0, 4, 4), box(9, 9, 4, 4)], [box(9, 9, 4, 4), box(0, 0, 4, 4)], 1),
        ("boxes", [box(0, 0, 0, 0)], [box(1, 1, 0, 0)], 0),
        ("boxes", [], [box(0, 0, 1, 1)], 0),
        ("spans", marks((0, 10)), marks((5, 10)), 2 * 5 / 15),
        ("spans", marks((0, 10)), marks((0, 10), name="b"), 0),
        # What one person marked twice is covered once.
        ("regions", marks((0, 2), (1, 3)), marks((0, 3)), 1),
        ("segments", marks((0.0, 1.0)), marks((0.5, 1.5)), 0.5),
    ],
)
def test_what_two_answers_share(answer, first, second, expected):
    assert similarity(answer, first, second) == pytest.approx(expected)
    assert similarity(answer, second, first) == pytest.approx(expected)
    assert similarity(answer, first, first) == 1


def test_polygons_share_their_area():
    assert similarity("polygons", [SQUARE], [TRIANGLE]) == pytest.approx(0.5, abs=0.01)
    assert similarity("polygons", [SQUARE], [{**SQUARE, "label": "b"}]) == 0


def test_points_that_are_near_agree_more():
    here = [{"label": "eye", "x": 100, "y": 100}]
    near = [{"label": "eye", "x": 102, "y": 100}]
    far = [{"label": "eye", "x": 140, "y": 100}]
    assert 0.8 < similarity("keypoints", here, near) < 1
    assert similarity("keypoints", here, far) < 0.1


def test_tracks_agree_by_their_boxes_between_keyframes_too():
    def track(*frames):
        keys = [{"frame": f, "x": x, "y": 0, "width": 10, "height": 10} for f, x in frames]
        return [{"label": "car", "track": 1, "keyframes": keys}]

    # The same straight way, with and without a keyframe in the middle.
    assert similarity("tracks", track((0, 0), (10, 100)), track((0, 0), (5, 50), (10, 100))) == 1
    assert similarity("tracks", track((0, 0), (10, 0)), track((0, 5), (10, 5))) == (
        pytest.approx(1 / 3)
    )


def test_shapes_are_the_same_when_they_share_half():
    assert same("boxes", [box(0, 0, 10, 10)], [box(1, 0, 10, 10)])
    assert not same("boxes", [box(0, 0, 10, 10)], [box(5, 0, 10, 10)])
    assert not same("rating", 4, 5)
