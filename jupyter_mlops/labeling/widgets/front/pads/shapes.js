// Boxes, polygons and keypoints on a picture: with the pointer, or with keys alone.

import { binding } from "../keys.js";
import { draw, make } from "../dom.js";
import { colourOf } from "../palette.js";
import { Board } from "./board.js";
import { Entries } from "./entries.js";

const WHAT = { boxes: "boxes", polygons: "polygons", keypoints: "points" };
const TOOLS = { boxes: "rectangle", polygons: "polygon", keypoints: null };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FINE = 1; // picture pixels a key press moves
const EXTREMES = 4;

const round = (value) => Math.round(100 * value) / 100;

/** How an entry's place reads. */
function words({ x, y, width, height, points }) {
  if (points) return `${points.length} corners`;
  const at = `at ${Math.round(x)}, ${Math.round(y)}`;
  return width === undefined ? at : `${Math.round(width)} × ${Math.round(height)} ${at}`;
}

export default function shapesPad({ task, act, say }) {
  const kind = task.answer;
  const colour = (label) => colourOf(task.classes, label);
  let board = null;
  let fine = false;
  let cursor = null; // where the keys draw: [x, y]
  let pending = []; // corners or extreme points given so far
  let extreme = false; // four clicks on the outermost points make a box
  let corner = null; // the corner of the picked polygon that the arrows move

  const entries = new Entries({ task, act, say, words, what: WHAT[kind], changed: () => redraw() });

  const redraw = () => {
    if (!board) return;
    board.write(entries.items);
    overlay();
  };

  /** Names beside the shapes, points, and what is being drawn by key. */
  const overlay = () => {
    const unit = board.unit;
    const size = 13 * unit;
    const named = entries.items.map((one) => {
      const [x, y] = one.points?.[0] ?? [one.x, one.y];
      const up = y > size ? y - 4 * unit : y + size;
      return draw("text", { x: x + (kind === "keypoints" ? 8 * unit : 0), y: up, "font-size": size, "stroke-width": 3 * unit, text: one.label });
    });
    const dots = kind === "keypoints" ? entries.items.map((one) => dot(one.x, one.y, colour(one.label), one.id === entries.picked)) : [];
    const corners = corner !== null && entries.chosen?.points ? [dot(...entries.chosen.points[corner], "#000", true)] : [];
    const around = entries.chosen && kind !== "keypoints" ? board.outline(entries.chosen) : [];
    const given = pending.map(([x, y]) => dot(x, y, colour(entries.current), false));
    const line = pending.length > 1 && kind === "polygons" ? [draw("polyline", { points: pending.join(" "), fill: "none", stroke: colour(entries.current), "stroke-width": 2 * unit })] : [];
    board.over.replaceChildren(...around, ...named, ...dots, ...corners, ...line, ...given, ...(cursor ? cross(...cursor) : []));
  };

  const dot = (x, y, fill, ring) =>
    draw("circle", { cx: x, cy: y, r: (ring ? 7 : 5) * board.unit, fill, stroke: ring ? "#000" : "#fff", "stroke-width": 2 * board.unit });

  const cross = (x, y) =>
    [["#fff", 4], ["#000", 1.5]].map(([stroke, width]) => {
      const arm = 12 * board.unit;
      const d = `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`;
      return draw("path", { d, stroke, "stroke-width": width * board.unit });
    });

  /** Take over what the pointer has changed since the last look. */
  const sync = () => {
    if (!board) return;
    for (const [id, geometry] of board.read()) {
      const one = entries.items.find((found) => found.id === id);
      if (one && !alike(one, geometry)) entries.update(id, geometry);
    }
  };

  const on = {
    drawn: (geometry, id) => {
      if (kind === "boxes" && !(geometry.width > 0 && geometry.height > 0)) return setTimeout(redraw);
      const made = { label: entries.current, ...geometry, id };
      entries.keep();
      entries.items.push(made);
      entries.picked = id;
      entries.render();
      say(`${made.label} ${words(made)}`);
      return setTimeout(() => board && overlay());
    },
    edited: () => (sync(), overlay()),
    picked: (id) => {
      sync();
      corner = null;
      entries.picked = id;
      entries.render();
      overlay();
    },
  };

  const paint = (element, item, { place, draft }) => {
    board?.destroy();
    board = null;
    if (!item.image) return element.replaceChildren(make("p", { class: "mlops-note", text: "The picture is on its way…" }));
    const { image } = item;
    image.alt = place;
    image.className = image.naturalWidth < 480 ? "mlops-blocky" : "";
    pending = [];
    cursor = corner = null;
    const { naturalWidth: width, naturalHeight: height } = image;
    board = new Board(image, { width, height, tool: TOOLS[kind], on, colour: (id) => colour(entries.items.find((one) => one.id === id)?.label ?? entries.current) });
    board.over.addEventListener("click", onClick);
    board.drawing(TOOLS[kind] !== null && !extreme);
    element.replaceChildren(board.element);
    entries.reset(draft);
    return redraw();
  };

  const onClick = (event) => {
    const [x, y] = board.place(event).map(round);
    if (kind === "keypoints") {
      const near = entries.items.find((one) => Math.hypot(one.x - x, one.y - y) < 8 * board.unit);
      if (near) entries.pick(near.id);
      else entries.add({ x, y });
    } else if (extreme) addExtreme([x, y]);
  };

  const addExtreme = (point) => {
    pending.push(point);
    say(`${pending.length} of ${EXTREMES} outermost points`);
    if (pending.length === EXTREMES) {
      const [xs, ys] = [pending.map(([x]) => x), pending.map(([, y]) => y)];
      const [x, y] = [Math.min(...xs), Math.min(...ys)];
      const [width, height] = [round(Math.max(...xs) - x), round(Math.max(...ys) - y)];
      pending = [];
      if (width > 0 && height > 0) entries.add({ x, y, width, height });
      else say("These four points lie on one line: click the outermost ones again.");
    }
    overlay();
  };

  const step = () => (fine ? FINE : Math.max(1, Math.round(Math.min(board.width, board.height) / 50)));
  const within = (value, most) => round(Math.min(Math.max(value, 0), most));

  const move = ([dx, dy], grow) => {
    const [by, { width: W, height: H }] = [step(), board];
    if (cursor) {
      cursor = [within(cursor[0] + dx * by, W), within(cursor[1] + dy * by, H)];
      return overlay();
    }
    const one = entries.chosen;
    if (!one) return startCursor();
    if (one.points && corner !== null) {
      const points = one.points.map(([x, y], n) => (n === corner ? [within(x + dx * by, W), within(y + dy * by, H)] : [x, y]));
      return entries.update(one.id, { points });
    }
    if (one.points) return entries.update(one.id, { points: shifted(one.points, dx * by, dy * by, W, H) });
    if (one.width === undefined) return entries.update(one.id, { x: within(one.x + dx * by, W), y: within(one.y + dy * by, H) });
    if (grow) {
      const wide = Math.min(Math.max(one.width + dx * by, FINE), W - one.x);
      return entries.update(one.id, { width: round(wide), height: round(Math.min(Math.max(one.height + dy * by, FINE), H - one.y)) });
    }
    return entries.update(one.id, { x: within(one.x + dx * by, W - one.width), y: within(one.y + dy * by, H - one.height) });
  };

  const startCursor = () => {
    cursor ??= [round(board.width / 2), round(board.height / 2)];
    say("A cross to move with the arrows; Space puts a point.");
    overlay();
  };

  const start = () => {
    if (kind === "boxes") {
      const [width, height] = [round(board.width / 4), round(board.height / 4)];
      return entries.add({ x: round(board.width / 2 - width / 2), y: round(board.height / 2 - height / 2), width, height });
    }
    entries.picked = null;
    entries.notify("");
    return startCursor();
  };

  const put = () => {
    if (!cursor) return start();
    if (kind === "keypoints") {
      const [x, y] = cursor;
      entries.add({ x, y });
      entries.picked = null;
      return entries.notify("");
    }
    pending.push([...cursor]);
    say(`corner ${pending.length}`);
    return overlay();
  };

  const close = () => {
    if (pending.length < 3) return say("A polygon has three corners or more.");
    const points = pending;
    pending = [];
    cursor = null;
    return entries.add({ points });
  };

  const toggleExtreme = () => {
    extreme = !extreme;
    pending = [];
    board.drawing(!extreme);
    say(extreme ? "Click the four outermost points of each thing." : "Draw boxes by dragging.");
    overlay();
  };

  const nextCorner = () => {
    const one = entries.chosen;
    if (!one?.points) return say("pick a polygon first, with j and k");
    corner = corner === null ? 0 : (corner + 1) % one.points.length;
    say(`corner ${corner + 1} of ${one.points.length}`);
    return overlay();
  };

  const perform = (one) => {
    if (!board) return null;
    sync();
    if (one.action === "submit") {
      if (!pending.length || kind !== "polygons") return { answer: entries.values };
      close();
    } else if (one.action === "take") {
      cursor = corner = null;
      entries.pick(one.id);
    } else if (one.action === "step") {
      cursor = corner = null;
      entries.perform(one);
    } else if (one.action === "move") move(one.by, one.grow);
    else if (one.action === "new") start();
    else if (one.action === "put") put();
    else if (one.action === "fine") say((fine = !fine) ? "steps of one pixel" : "wide steps");
    else if (one.action === "extreme") toggleExtreme();
    else if (one.action === "corner") nextCorner();
    else if (one.action === "back" && pending.length) pending.pop(), overlay();
    else entries.perform(one);
    return null;
  };

  const arrows = Object.entries(ARROWS).map(([key, by]) => binding(`move:${key}`, [key], `move it ${key.slice(5).toLowerCase()}`, { action: "move", by }, true));
  const growing = Object.entries(ARROWS).map(([key, by]) => binding(`grow:${key}`, [`Shift+${key}`], `change its size: ${key.slice(5).toLowerCase()}`, { action: "move", by, grow: true }, true));
  const own = {
    boxes: [...growing, binding("extreme", ["x"], "four clicks on the outermost points make a box", { action: "extreme" })],
    polygons: [
      binding("put", ["Space"], "put a corner at the cross", { action: "put" }),
      binding("corner", ["c"], "pick the next corner", { action: "corner" }, true),
    ],
    keypoints: [binding("put", ["Space"], "put a point at the cross", { action: "put" })],
  };

  return {
    draws: true,
    element: entries.element,
    bindings: [
      binding("new", ["n"], kind === "boxes" ? "a new box in the middle" : "a cross to draw with", { action: "new" }),
      ...arrows,
      ...own[kind],
      binding("fine", ["f"], "small steps or wide ones", { action: "fine" }),
      ...entries.bindings,
    ],
    enable: (on) => entries.enable(on && board !== null),
    show: () => {},
    paint,
    perform,
    leave: () => {
      board?.cancel();
      if (!pending.length && !cursor) return false;
      pending = [];
      cursor = null;
      overlay();
      return true;
    },
    dispose: () => board?.destroy(),
  };
}

/** Whether two places are the same but for rounding. */
function alike(one, other) {
  const flat = ({ points, x, y, width, height }) => (points ? points.flat() : [x, y, width, height]);
  const [here, there] = [flat(one), flat(other)];
  return here.length === there.length && here.every((value, n) => Math.abs(value - there[n]) < 0.011);
}

/** Corners moved together, as far as all of them stay in the picture. */
function shifted(points, dx, dy, width, height) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const mx = Math.min(Math.max(dx, -Math.min(...xs)), width - Math.max(...xs));
  const my = Math.min(Math.max(dy, -Math.min(...ys)), height - Math.max(...ys));
  return points.map(([x, y]) => [round(x + mx), round(y + my)]);
}
