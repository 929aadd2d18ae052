// A film: stretches of it, or boxes that move through it, known at key frames and straight between.

import { binding } from "../keys.js";
import { draw, make, pushButton } from "../dom.js";
import { colourOf } from "../palette.js";
import { playerOf } from "../shown.js";
import { Board } from "./board.js";
import { Entries } from "./entries.js";
import { clock, lasting, stretchKeys } from "./stretches.js";

const FRAMES = 25; // a second, unless the task says otherwise
const AFAR = 1e7; // seconds: where a film that doesn't know its length is asked for its end
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDES = ["x", "y", "width", "height"];

const round = (value) => Math.round(100 * value) / 100;

/** Where a track is in a frame: its box, or null before it begins and while it is outside. */
export function boxAt(keyframes, frame) {
  const before = keyframes.filter((one) => one.frame <= frame).at(-1);
  if (!before || before.outside) return null;
  const next = keyframes.find((one) => one.frame > frame);
  const after = next && !next.outside ? next : before;
  const share = after === before ? 0 : (frame - before.frame) / (after.frame - before.frame);
  return Object.fromEntries(SIDES.map((side) => [side, round(before[side] + share * (after[side] - before[side]))]));
}

export default function filmPad({ task, act, say }) {
  const tracks = task.answer === "tracks";
  const fps = task.settings?.fps ?? FRAMES;
  let player = null;
  let board = null;
  let timeline = null;
  let watching = 0;
  let drawnAt = null; // the frame whose boxes are on the board

  const words = tracks ? ({ track, keyframes }) => `track ${track}, ${keyframes.length} key frame${keyframes.length === 1 ? "" : "s"}` : lasting;
  const entries = new Entries({ task, act, say, words, what: tracks ? "tracks" : "segments", changed: () => redraw() });
  const length = () => (Number.isFinite(player?.duration) ? player.duration : 0);
  // A small step is one frame: in the middle of it, where rounding can't slip to the next.
  const keys = stretchKeys({ entries, say, player: () => player, length, steps: [1 / fps, 1] });
  const frame = () => Math.floor(player.currentTime * fps + 1e-6);

  const redraw = () => {
    drawBars();
    drawBoxes();
  };

  const drawBars = () => {
    if (!timeline) return;
    const whole = length() || 1;
    const bar = (left, right, one) => {
      const found = make("span", { class: `mlops-bar${one.id === entries.picked ? " mlops-chosen" : ""}` });
      found.style.insetInlineStart = `${(100 * left) / whole}%`;
      found.style.width = `${Math.max(0.4, (100 * (right - left)) / whole)}%`;
      found.style.backgroundColor = colourOf(task.classes, one.label);
      return found;
    };
    const bars = entries.items.flatMap((one) =>
      tracks ? one.keyframes.map((key) => bar(key.frame / fps, (key.frame + 1) / fps, one)) : [bar(one.start, one.end, one)],
    );
    timeline.bars.replaceChildren(...bars);
    tick();
  };

  const tick = () => {
    if (!timeline || !player) return;
    timeline.seek.max = String(length());
    timeline.seek.value = String(player.currentTime);
    timeline.seek.setAttribute("aria-valuetext", `${clock(player.currentTime)}, frame ${frame()}`);
    timeline.clock.textContent = `${clock(player.currentTime)} of ${clock(length())}, frame ${frame()}`;
  };

  const drawBoxes = () => {
    if (!board) return undefined;
    drawnAt = player?.paused ? frame() : null;
    if (drawnAt === null) return board.write([]);
    const here = entries.items.map(({ id, keyframes }) => ({ id, ...boxAt(keyframes, frame()) }));
    const boxes = here.filter(({ width }) => width !== undefined);
    board.write(boxes);
    const chosen = boxes.find(({ id }) => id === entries.picked);
    const size = 13 * board.unit;
    const names = boxes.map(({ id, x, y }) => {
      const { label, track } = entries.items.find((one) => one.id === id);
      const up = y > size ? y - 4 * board.unit : y + size;
      return draw("text", { x, y: up, "font-size": size, "stroke-width": 3 * board.unit, text: `${label} ${track}` });
    });
    return board.over.replaceChildren(...(chosen ? board.outline(chosen) : []), ...names);
  };

  /** A track's box in this frame, as a key frame. */
  const keep = (id, box) => {
    const one = entries.items.find((found) => found.id === id);
    if (!one) return;
    const now = frame();
    const others = one.keyframes.filter((key) => key.frame !== now);
    const keyframes = [...others, { frame: now, ...box, outside: false }].sort((a, b) => a.frame - b.frame);
    entries.update(id, { keyframes });
  };

  const sync = () => {
    // What is drawn belongs to the frame it was drawn in.
    if (!board || !player?.paused || drawnAt !== frame()) return;
    for (const [id, box] of board.read()) {
      const one = entries.items.find((found) => found.id === id);
      const was = one && boxAt(one.keyframes, frame());
      if (was && SIDES.some((side) => Math.abs(was[side] - box[side]) > 0.02)) keep(id, box);
    }
  };

  const nextTrack = () => 1 + Math.max(0, ...entries.items.map(({ track }) => track));

  const on = {
    drawn: (box, id) => {
      if (!(box.width > 0 && box.height > 0)) return setTimeout(redraw);
      return setTimeout(() => entries.add({ track: nextTrack(), keyframes: [{ frame: frame(), ...box, outside: false }] }, id));
    },
    edited: sync,
    picked: (id) => {
      sync();
      // Going to another frame lets go of the drawing, not of the track.
      if (id === null) return;
      entries.picked = id;
      entries.render();
      drawBars();
    },
  };

  const dispose = () => {
    cancelAnimationFrame(watching);
    board?.destroy();
    player?.pause();
    player = board = timeline = null;
  };

  const paint = (element, item, shown) => {
    dispose();
    entries.reset(shown.draft);
    if (!item.address) return element.replaceChildren(make("p", { class: "mlops-note", text: "The film is on its way…" }));
    player = playerOf(item, "video", shown.place, shown.failed);
    player.controls = false;
    player.playsInline = true;
    const place = make("div", { class: "mlops-film" }, player);
    timeline = {
      bars: make("div", { class: "mlops-bars", "aria-hidden": "true" }),
      seek: make("input", { type: "range", min: "0", max: "0", step: "any", "aria-label": "Time", input: () => (player.currentTime = Number(timeline.seek.value)) }),
      clock: make("span", { class: "mlops-clock" }),
    };
    const play = pushButton("tool", "Space", "Play or pause", () => act({ action: "play" }));
    element.replaceChildren(make("div", { class: "mlops-player" }, place, timeline.bars, timeline.seek, make("div", { class: "mlops-tools" }, play, timeline.clock)));
    const mine = player;
    player.addEventListener("loadedmetadata", () => mine === player && ready(place, shown), { once: true });
    for (const name of ["seeked", "pause", "play", "durationchange"]) {
      player.addEventListener(name, () => mine === player && (tick(), redraw()));
    }
    watch();
    return player;
  };

  const watch = () => {
    watching = requestAnimationFrame(watch);
    if (player && !player.paused) tick();
  };

  const ready = (place, { failed }) => {
    if (!player.videoWidth) return failed("there is no picture in it");
    // Films made by a browser learn their length when their end is asked for.
    if (!Number.isFinite(player.duration)) {
      player.addEventListener("durationchange", () => (player.currentTime = 0), { once: true });
      player.currentTime = AFAR;
    }
    if (tracks) {
      const canvas = make("canvas", { width: String(player.videoWidth), height: String(player.videoHeight) });
      board = new Board(canvas, {
        width: player.videoWidth,
        height: player.videoHeight,
        tool: "rectangle",
        colour: (id) => colourOf(task.classes, entries.items.find((one) => one.id === id)?.label ?? entries.current),
        on,
      });
      board.element.prepend(player);
      place.replaceChildren(board.element);
    }
    return redraw();
  };

  const move = ([dx, dy], grow) => {
    const one = entries.chosen;
    const box = one && boxAt(one.keyframes, frame());
    if (!box) return say("pick a track that is in the picture, with j and k");
    const by = Math.max(1, Math.round(Math.min(board.width, board.height) / 50));
    const within = (value, least, most) => round(Math.min(Math.max(value, least), most));
    const moved = grow
      ? { ...box, width: within(box.width + dx * by, 1, board.width - box.x), height: within(box.height + dy * by, 1, board.height - box.y) }
      : { ...box, x: within(box.x + dx * by, 0, board.width - box.width), y: within(box.y + dy * by, 0, board.height - box.height) };
    return keep(one.id, moved);
  };

  const fresh = () => {
    const [width, height] = [round(board.width / 4), round(board.height / 4)];
    const box = { x: round(board.width / 2 - width / 2), y: round(board.height / 2 - height / 2), width, height };
    entries.add({ track: nextTrack(), keyframes: [{ frame: frame(), ...box, outside: false }] });
  };

  /** The track is outside the picture from here on, or in it again. */
  const toggleOutside = () => {
    const one = entries.chosen;
    if (!one) return say("pick a track first, with j and k");
    const now = frame();
    const last = one.keyframes.filter((key) => key.frame <= now).at(-1) ?? one.keyframes[0];
    const box = boxAt(one.keyframes, now) ?? last;
    const others = one.keyframes.filter((key) => key.frame !== now);
    const key = { frame: now, ...Object.fromEntries(SIDES.map((side) => [side, box[side]])), outside: !last.outside };
    return entries.update(one.id, { keyframes: [...others, key].sort((a, b) => a.frame - b.frame) });
  };

  const forgetKey = () => {
    const one = entries.chosen;
    const left = one?.keyframes.filter((key) => key.frame !== frame());
    if (!one || left.length === one.keyframes.length) return say("this frame is no key frame of the track that is picked");
    return left.length ? entries.update(one.id, { keyframes: left }) : entries.remove();
  };

  const leap = (by) => {
    const marks = [...new Set((entries.chosen ? [entries.chosen] : entries.items).flatMap(({ keyframes }) => keyframes.map((key) => key.frame)))].sort((a, b) => a - b);
    const to = by > 0 ? marks.find((one) => one > frame()) : marks.filter((one) => one < frame()).at(-1);
    if (to === undefined) return say("no key frame that way");
    player.currentTime = (to + 0.5) / fps;
    return say(`frame ${to}`);
  };

  const drawn = {
    move: ({ by, grow }) => move(by, grow),
    new: fresh,
    outside: toggleOutside,
    forget: forgetKey,
    leap: ({ by }) => leap(by),
    take: ({ id }) => entries.pick(id),
  };

  const perform = (one) => {
    if (!player) return null;
    if (tracks) sync();
    if (one.action === "submit") return { answer: entries.values };
    if (tracks && drawn[one.action]) {
      if (board) drawn[one.action](one);
      return null;
    }
    if (one.action === "seek" && Math.abs(one.by) < 1) {
      player.pause();
      player.currentTime = Math.min(Math.max(frame() + Math.sign(one.by) + 0.5, 0.5) / fps, length());
      say(`frame ${frame()}`);
    } else if (!keys.perform(one)) entries.perform(one);
    return null;
  };

  const arrows = Object.entries(ARROWS).flatMap(([key, by]) => [
    binding(`move:${key}`, [`Shift+${key}`], `move its box ${key.slice(5).toLowerCase()}`, { action: "move", by }, true),
  ]);
  const sizes = [["h", [-1, 0], "narrower"], ["l", [1, 0], "wider"], ["-", [0, -1], "lower"], ["+", [0, 1], "higher"]];
  const boxKeys = [
    binding("new", ["n"], "a new track with a box in the middle", { action: "new" }),
    ...arrows,
    ...sizes.map(([key, by, says]) => binding(`grow:${key}`, [key], `make its box ${says}`, { action: "move", by, grow: true }, true)),
    binding("leap-on", [".", "PageDown"], "to the next key frame", { action: "leap", by: 1 }),
    binding("leap-back", [",", "PageUp"], "to the key frame before", { action: "leap", by: -1 }),
    binding("outside", ["o"], "outside the picture from here on, or in it again", { action: "outside" }),
    binding("forget", ["x"], "no key frame here", { action: "forget" }),
  ];
  const shared = keys.bindings.filter(({ id }) => ["play", "on", "back-step", ...(tracks ? [] : ["on-little", "back-little", "begin", "end", "new", "free"])].includes(id));

  return {
    draws: true,
    plays: true,
    element: entries.element,
    bindings: [...shared, ...(tracks ? boxKeys : []), ...entries.bindings],
    enable: (on) => entries.enable(on),
    show: () => {},
    paint,
    perform,
    leave: keys.leave,
    dispose,
  };
}
