"""Every kind of answer, given with the keyboard and with the pointer, in a real JupyterLab."""

from __future__ import annotations

import base64

import polars as pl
import pytest
from labelcells import LABELER, answers, run_cell, saved
from labelcells import film as film_of
from sqlalchemy import select

from jupyter_mlops import data
from jupyter_mlops.labeling import create, get, suggest
from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.workspace import Workspace

MADE = """\
%load_ext jupyter_mlops
import io, wave
import numpy as np, polars as pl
random = np.random.default_rng(3)
pictures = random.integers(0, 255, (6, 100, 200, 3), dtype="uint8")
def sound(seconds, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1); out.setsampwidth(2); out.setframerate(rate)
        time = np.arange(int(seconds * rate)) / rate
        waves = 12000 * np.sin(2 * np.pi * 440 * time) * (time % 1)
        out.writeframes(waves.astype("<i2").tobytes())
    return file.getvalue()
"""
RECORDED = """async () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [320, 240];
    const pen = canvas.getContext('2d');
    const stream = canvas.captureStream(25);
    const recorder = new MediaRecorder(stream, {mimeType: 'video/webm;codecs=vp8'});
    const parts = [];
    recorder.ondataavailable = event => parts.push(event.data);
    const ended = new Promise(resolve => { recorder.onstop = resolve; });
    recorder.start();
    const began = performance.now();
    await new Promise(resolve => {
        const draw = () => {
            const at = performance.now() - began;
            pen.fillStyle = '#234'; pen.fillRect(0, 0, 320, 240);
            pen.fillStyle = '#fb3'; pen.fillRect(at / 10, 80, 60, 60);
            if (at < 2000) requestAnimationFrame(draw); else resolve();
        };
        draw();
    });
    recorder.stop();
    await ended;
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
}"""


@pytest.fixture(scope="module")
def page(lab):
    """An open notebook whose kernel has the media."""
    name = lab.notebook("kinds.ipynb", [MADE, "1", "'the end'"])
    page = lab.open(name)
    lab.run_all(page)
    return page


@pytest.fixture
def ask(page):
    """Open a labeler in the second cell, with the focus in it."""

    def open_labeler(task, source):
        run_cell(page, source)
        labeler = page.locator(f"[aria-label='Labeler {task}'][data-state=ready]")
        labeler.wait_for()
        labeler.focus()
        return labeler

    return open_labeler


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def shown(page, item):
    page.wait_for_selector(f"{LABELER}[data-item='{item}']")


def line(task, data, *options):
    return f"%mlops label {task} {{{data}}} " + " ".join(options)


def test_several_classes_are_switched_on_and_given_with_enter(lab, page, ask, shots):
    ask("several", line("several", "pictures", "--kind image --answer classes --classes a,b,c"))
    press(page, "3", "1", "2", "2", "Enter")
    shown(page, 1)
    press(page, "Enter")
    shown(page, 2)
    press(page, "u")
    shown(page, 1)
    press(page, "u")
    # What was answered is there to be changed.
    assert page.locator(f"{LABELER} .mlops-class[aria-pressed=true]").all_inner_texts() == [
        "1\na",
        "3\nc",
    ]
    press(page, "1", "Enter", "Enter")
    shown(page, 2)
    saved(page)
    assert answers(lab, "several") == {0: ["c"], 1: []}
    shots(page, "labeler-classes")


def test_a_rating_takes_a_key_within_the_tasks_scale(lab, page, ask):
    rows = "pl.DataFrame({'n': [1, 2], 'city': ['Bonn', 'Ulm']})"
    source = f"rows = {rows}\n" + line("rated", "rows", "--kind row --answer rating --scale 0-4")
    labeler = ask("rated", source)
    assert labeler.locator("th").all_inner_texts() == ["n", "city"]
    assert labeler.locator("td").all_inner_texts() == ["1", "Bonn"]
    press(page, "7", "0")
    shown(page, 1)
    press(page, "4")
    saved(page)
    assert answers(lab, "rated") == {0: 0, 1: 4}


def test_a_text_is_written_and_no_key_of_it_is_an_action(lab, page, ask):
    labeler = ask("said", line("said", "pictures", "--kind image --answer text"))
    press(page, "Enter")
    page.keyboard.type("us? 12 s")
    press(page, "Shift+Enter")
    page.keyboard.type("two")
    assert labeler.get_attribute("data-item") == "0"
    press(page, "Enter")
    shown(page, 1)
    press(page, "Enter")
    assert "empty" in labeler.locator(".mlops-live").inner_text()
    page.keyboard.type("x")
    press(page, "Escape", "s", "1")
    shown(page, 2)
    saved(page)
    assert answers(lab, "said") == {0: "us? 12 s\ntwo"}


def test_a_picture_that_comes_late_leaves_what_was_written(lab, page, ask):
    held = []
    page.route("**/mlops/api/labels/*/media/0", lambda route: held.append(route))
    labeler = ask("tardy", line("tardy", "pictures[:1]", "--kind image --answer text"))
    press(page, "Enter")
    page.keyboard.type("early")
    assert labeler.locator(".mlops-item img").count() == 0
    for route in held:
        route.continue_()
    labeler.locator(".mlops-item img").wait_for()
    page.unroute("**/mlops/api/labels/*/media/0")
    page.keyboard.type(" bird")
    press(page, "Enter")
    saved(page)
    assert answers(lab, "tardy") == {0: "early bird"}


def test_the_better_of_two_is_left_right_or_neither(lab, page, ask, shots):
    source = "both = pl.DataFrame({'left': ['<b>one</b>', 'a', 'c'], 'right': ['two', 'b', 'd']})\n"
    labeler = ask("better", source + line("better", "both", "--kind pair"))
    assert labeler.locator(".mlops-side .mlops-text").all_inner_texts() == ["<b>one</b>", "two"]
    shots(page, "labeler-pair")
    press(page, "ArrowLeft")
    shown(page, 1)
    press(page, "2")
    shown(page, 2)
    press(page, "0")
    saved(page)
    assert answers(lab, "better") == {0: "left", 1: "right", 2: "tie"}


def test_two_pictures_are_shown_beside_each_other(lab, page, ask):
    source = (
        "from jupyter_mlops.labeling import png\n"
        "both = pl.DataFrame({name: [png(one) for one in pictures[at:at + 2]]"
        " for name, at in [('left', 0), ('right', 2)]})\n"
    )
    labeler = ask("looks", source + line("looks", "both", "--kind pair"))
    labeler.locator(".mlops-side img").nth(1).wait_for()
    widths = labeler.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert widths == [200, 200]
    press(page, "ArrowRight")
    shown(page, 1)
    saved(page)
    assert answers(lab, "looks") == {0: "right"}


def boxes(task, answer="boxes"):
    return line(task, "pictures", f"--kind image --answer {answer} --classes cat,dog")


def surface(labeler):
    over = labeler.locator(".mlops-over")
    over.wait_for()
    return over.bounding_box()


def test_boxes_are_drawn_with_keys_alone(lab, page, ask):
    ask("boxkeys", boxes("boxkeys"))
    surface(page.locator(LABELER))
    # 200 × 100 pixels: a quarter in the middle, and steps of two pixels or of one.
    press(page, "n", "ArrowRight", "Shift+ArrowDown", "f", "ArrowUp", "2")
    press(page, "n", "d", "n", "z", "Enter")
    shown(page, 1)
    saved(page)
    assert answers(lab, "boxkeys")[0] == [
        {"label": "dog", "x": 77, "y": 36.5, "width": 50, "height": 27}
    ]


def test_boxes_are_dragged_and_moved_with_the_pointer(lab, page, ask, shots):
    labeler = ask("drag", boxes("drag"))
    over = surface(labeler)
    scale = over["width"] / 200
    at = lambda x, y: (over["x"] + x * scale, over["y"] + y * scale)  # noqa: E731
    for start, stop in [((20, 20), (60, 50)), ((100, 30), (160, 90))]:
        page.mouse.move(*at(*start))
        page.mouse.down()
        page.mouse.move(*at(*stop), steps=4)
        page.mouse.up()
    labeler.locator(".mlops-entry").nth(1).wait_for()
    shots(page, "labeler-boxes")
    # Take the second by its middle, and give it another class.
    page.mouse.click(*at(130, 60))
    labeler.locator(".a9s-edge-handle").first.wait_for(state="attached")
    page.mouse.move(*at(130, 60))
    page.mouse.down()
    page.mouse.move(*at(120, 55), steps=4)
    page.mouse.move(*at(120, 55))
    page.mouse.up()
    labeler.focus()
    press(page, "2", "Enter")
    shown(page, 1)
    saved(page)
    first, second = answers(lab, "drag")[0]
    assert (first["label"], second["label"]) == ("cat", "dog")
    for box, expected in [(first, (20, 20, 40, 30)), (second, (90, 25, 60, 60))]:
        found = [box[name] for name in ("x", "y", "width", "height")]
        assert found == pytest.approx(expected, abs=1.5)


def test_four_clicks_on_the_outermost_points_make_a_box(lab, page, ask):
    labeler = ask("four", boxes("four"))
    over = surface(labeler)
    scale = over["width"] / 200
    press(page, "x")
    for x, y in [(50, 10), (90, 40), (60, 80), (30, 30)]:
        page.mouse.click(over["x"] + x * scale, over["y"] + y * scale)
    labeler.locator(".mlops-entry").wait_for()
    press(page, "Enter")
    shown(page, 1)
    saved(page)
    (box,) = answers(lab, "four")[0]
    found = [box[name] for name in ("x", "y", "width", "height")]
    assert found == pytest.approx((30, 10, 60, 70), abs=1)


def test_polygons_by_keys_and_by_clicks(lab, page, ask):
    labeler = ask("poly", boxes("poly", "polygons"))
    over = surface(labeler)
    press(page, "n", "Space", "ArrowRight", "Space", "ArrowDown", "Space", "Enter")
    labeler.locator(".mlops-entry").wait_for()
    press(page, "Enter")
    shown(page, 1)
    over = surface(labeler)
    scale = over["width"] / 200
    corners = [(20, 20), (80, 20), (80, 70), (30, 80)]
    for x, y in [*corners, corners[0]]:
        page.mouse.move(over["x"] + x * scale, over["y"] + y * scale, steps=3)
        page.mouse.down()
        page.mouse.up()
    labeler.locator(".mlops-entry").wait_for()
    labeler.focus()
    press(page, "2", "Enter")
    shown(page, 2)
    saved(page)
    found = answers(lab, "poly")
    assert found[0] == [{"label": "cat", "points": [[100, 50], [102, 50], [102, 52]]}]
    assert found[1][0]["label"] == "dog"
    assert len(found[1][0]["points"]) == 4
    for point, corner in zip(found[1][0]["points"], corners, strict=True):
        assert point == pytest.approx(corner, abs=1.5)


def test_keypoints_by_keys_and_by_clicks(lab, page, ask):
    labeler = ask("points", boxes("points", "keypoints"))
    over = surface(labeler)
    scale = over["width"] / 200
    page.mouse.click(over["x"] + 40 * scale, over["y"] + 30 * scale)
    press(page, "k", "2", "n", "ArrowLeft", "Space", "Enter")
    shown(page, 1)
    saved(page)
    first, second = answers(lab, "points")[0]
    assert (first["label"], second) == ("dog", {"label": "dog", "x": 98, "y": 50})
    assert (first["x"], first["y"]) == pytest.approx((40, 30), abs=1)


def test_spans_count_code_points_by_keys_and_by_pointer(lab, page, ask, shots):
    text = "😀 Ada met Grace in New York. <i>Bye</i>"
    source = f"texts = pl.DataFrame({{'t': [{text!r}, 'Ada']}})\n"
    source += line("spans", "texts", "--kind text --answer spans --classes person,place")
    labeler = ask("spans", source)
    assert labeler.locator(".mlops-text").inner_text() == text
    # The emoji, Ada; then on to New York.
    press(page, "ArrowRight", "ArrowRight", "1")
    press(page, *["ArrowRight"] * 4, "Shift+ArrowRight", "2")
    shots(page, "labeler-spans")
    box = page.evaluate(
        """() => { const shown = document.querySelector('.mlops-text');
            const walker = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const at = walker.currentNode.data.indexOf('Grace');
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(walker.currentNode, at); range.setEnd(walker.currentNode, at + 5);
                const {x, y, width, height} = range.getBoundingClientRect();
                return {x, y: y + height / 2, end: x + width};
            } }"""
    )
    page.mouse.move(box["x"] + 1, box["y"])
    page.mouse.down()
    page.mouse.move(box["end"] - 1, box["y"], steps=5)
    page.mouse.up()
    labeler.locator(".mlops-entry").nth(2).wait_for()
    press(page, "1", "Enter")
    shown(page, 1)
    saved(page)
    found = answers(lab, "spans")[0]
    assert [(one["label"], text[one["start"] : one["end"]]) for one in found] == [
        ("person", "Ada"),
        ("person", "Grace"),
        ("place", "New York"),
    ]


def test_regions_of_a_sound_begin_and_end_by_keys_and_by_dragging(lab, page, ask, shots):
    source = "sounds = pl.DataFrame({'s': [sound(4), sound(2)]})\n"
    source += line("sounds", "sounds", "--kind audio --answer regions --classes hum,click")
    labeler = ask("sounds", source)
    labeler.locator(".mlops-wave > div").wait_for()
    wave = labeler.locator(".mlops-wave").bounding_box()
    page.wait_for_function("() => document.querySelector('audio').readyState >= 1")
    press(page, "ArrowRight", "i", "ArrowRight", "Shift+ArrowRight", "o")
    labeler.locator(".mlops-entry").wait_for()
    page.mouse.move(wave["x"] + 0.75 * wave["width"], wave["y"] + 60)
    page.mouse.down()
    page.mouse.move(wave["x"] + 0.9 * wave["width"], wave["y"] + 60, steps=6)
    page.mouse.up()
    labeler.locator(".mlops-entry").nth(1).wait_for()
    labeler.focus()
    shots(page, "labeler-regions")
    press(page, "2", "Enter")
    shown(page, 1)
    saved(page)
    first, second = answers(lab, "sounds")[0]
    assert first == {"label": "hum", "start": 1, "end": 2.1}
    assert second["label"] == "click"
    assert (second["start"], second["end"]) == pytest.approx((3, 3.6), abs=0.1)


@pytest.fixture(scope="module")
def film(lab, page):
    """Two seconds of a moving square, as a browser records them."""
    content = base64.b64decode(page.evaluate(RECORDED))
    (lab.root / "square.webm").write_bytes(content)
    (lab.root / "again.webm").write_bytes(content)
    return "films = pl.DataFrame({'f': ['square.webm', 'again.webm']})\n"


def on_film(page):
    page.wait_for_function(
        """() => { const film = document.querySelector('.mlops-labeler video');
            return film && film.readyState >= 2 && Number.isFinite(film.duration)
                && film.currentTime === 0 && !film.seeking; }"""
    )


def test_segments_of_a_film(lab, page, ask, film):
    source = film + line("segments", "films", "--kind video --answer segments --classes a,b")
    ask("segments", source)
    on_film(page)
    press(page, *["ArrowRight"] * 5, "i", *["ArrowRight"] * 20, "o", "Enter")
    shown(page, 1)
    saved(page)
    (found,) = answers(lab, "segments")[0]
    assert (found["start"], found["end"]) == pytest.approx((5.5 / 25, 25.5 / 25), abs=0.02)


def test_boxes_move_through_a_film_between_key_frames(lab, page, ask, film, shots):
    source = film + line("tracks", "films", "--kind video --answer tracks --classes a,b")
    labeler = ask("tracks", source)
    on_film(page)
    labeler.locator(".mlops-over").wait_for()
    press(page, "n", *["ArrowRight"] * 10, *["Shift+ArrowRight"] * 5)
    page.wait_for_function(
        "() => document.querySelector('.mlops-clock').innerText.includes('frame 10')"
    )
    press(page, *["ArrowLeft"] * 5)
    page.wait_for_function(
        "() => document.querySelector('.mlops-clock').innerText.includes('frame 5')"
    )
    shots(page, "labeler-tracks")
    press(page, "Enter")
    shown(page, 1)
    saved(page)
    (found,) = answers(lab, "tracks")[0]
    box = {"x": 120, "y": 90, "width": 80, "height": 60, "outside": False}
    assert found == {
        "label": "a",
        "track": 1,
        "keyframes": [{"frame": 0, **box}, {"frame": 10, **box, "x": 145}],
    }


def test_an_mp4_is_played_frame_by_frame_and_labelled(lab, page, ask, axe):
    film_of(page, lab.root / "square.mp4")
    source = "mp4s = pl.DataFrame({'f': ['square.mp4', 'square.mp4']})\n"
    source += line("mp4s", "mp4s", "--kind video --answer tracks --classes a,b")
    labeler = ask("mp4s", source)
    on_film(page)
    labeler.locator(".mlops-over").wait_for()
    assert labeler.locator("video").evaluate("one => [one.duration, one.videoWidth]") == [2, 320]
    # The square of the film is where it was drawn: frame 5 is 20 pixels on.
    press(page, *["ArrowRight"] * 5)
    page.wait_for_function(
        """() => { const film = document.querySelector('.mlops-labeler video');
            if (film.seeking || !document.querySelector('.mlops-clock').innerText
                .includes('frame 5')) return false;
            const canvas = new OffscreenCanvas(320, 240);
            const pen = canvas.getContext('2d');
            pen.drawImage(film, 0, 0);
            const red = x => pen.getImageData(x, 110, 1, 1).data[0];
            return red(12) < 90 && red(28) > 180 && red(72) > 180 && red(88) < 90; }"""
    )
    press(page, "n")
    labeler.locator(".mlops-entry").wait_for()
    for theme in ["JupyterLab Dark", "JupyterLab Light"]:
        lab.theme(page, theme)
        assert axe(page, LABELER) == []
    labeler.focus()
    press(page, "Enter")
    shown(page, 1)
    saved(page)
    (found,) = answers(lab, "mp4s")[0]
    assert [one["frame"] for one in found["keyframes"]] == [5]


def test_a_suggestion_is_taken_by_one_key_or_changed_and_both_are_kept(lab, page, ask, axe, shots):
    ws = Workspace.open(lab.root)
    remarks = pl.DataFrame({"t": ["fog at dawn", "no crew", "snow", "rain"]})
    create(ws, "advised", data.resolve(ws, remarks), "text", ["weather", "crew"])
    sure = [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]]
    assert suggest(ws, "advised", sure, by="model:remarks@1", least=0.65) == 3
    labeler = ask("advised", "%mlops label advised")
    told = labeler.locator(".mlops-suggestion")
    assert told.inner_text() == "Suggested: weather (model:remarks@1, 90 % sure)"
    marked = labeler.locator(".mlops-class[aria-pressed=true]")
    assert marked.all_inner_texts() == ["1\nweather"]
    assert axe(page, LABELER) == []
    shots(page, "labeler-suggestion")
    press(page, "Enter")
    shown(page, 1)
    press(page, "2")
    shown(page, 2)
    # Nothing is suggested here, so there is nothing to take.
    assert told.is_hidden()
    press(page, "Enter")
    assert labeler.get_attribute("data-item") == "2"
    press(page, "1")
    saved(page)
    with ws.read() as session:
        query = select(AnnotationRecord).where(AnnotationRecord.task == get(ws, "advised").id)
        kept = {
            one.item: (one.value, one.suggestion.get("value"), one.suggestion.get("by"))
            for one in session.scalars(query)
        }
    assert kept == {
        0: ("weather", "weather", "model:remarks@1"),
        1: ("crew", "weather", "model:remarks@1"),
        2: ("weather", None, None),
    }


def test_keys_are_given_to_other_actions_unless_they_are_taken(lab, page, ask):
    labeler = ask("remap", line("remap", "pictures", "--kind image --classes cat,dog"))
    press(page, "?")
    labeler.get_by_role("button", name="Other key for: skip this item").click()
    press(page, "1")
    assert "1 is taken: cat" in labeler.locator(".mlops-live").inner_text()
    labeler.get_by_role("button", name="Other key for: skip this item").click()
    press(page, "p")
    labeler.focus()
    press(page, "s")
    assert labeler.locator(".mlops-reasons").is_hidden()
    press(page, "p", "1")
    shown(page, 1)
    labeler.get_by_role("button", name="Everybody's keys again").click()
    press(page, "p")
    assert labeler.get_attribute("data-item") == "1"
    press(page, "s", "2")
    shown(page, 2)
