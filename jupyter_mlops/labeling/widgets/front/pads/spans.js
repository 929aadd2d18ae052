// Spans of a text: marked with the pointer, or word by word with the arrows.

import { binding } from "../keys.js";
import { make } from "../dom.js";
import { colourOf } from "../palette.js";
import { Entries } from "./entries.js";

const STYLE = `
.mlops-labeler mark { background: color-mix(in srgb, var(--mlops-mark) 28%, transparent); color: inherit; border-bottom: 3px solid var(--mlops-mark); padding: 1px 0; }
.mlops-labeler mark[data-label]::after { content: attr(data-label); margin: 0 3px; font-size: 0.7em; font-weight: 600; vertical-align: super; }
.mlops-labeler mark.mlops-chosen { outline: 2px solid currentColor; }
.mlops-labeler .mlops-caret { background: var(--mlops-ring, #1976d2); color: #fff; }
`;
const WORD = /[\p{L}\p{N}\p{M}_]+|[^\s\p{L}\p{N}\p{M}_]/gu;
const LEAP = 10; // words that the up and down arrows pass
const SHOWN = 40; // characters of a span that its entry shows

/** Places in a text as JavaScript counts them, and as code points: spans are stored as these. */
export class Places {
  constructor(text) {
    this.text = text;
    // Code units before each code point; most texts have one unit each and need no table.
    this.plain = !/[\ud800-\udbff]/.test(text);
    if (!this.plain) {
      this.units = [0];
      for (const sign of text) this.units.push(this.units[this.units.length - 1] + sign.length);
    }
  }

  get length() {
    return this.plain ? this.text.length : this.units.length - 1;
  }

  toUnit(point) {
    return this.plain ? point : this.units[Math.min(point, this.length)];
  }

  toPoint(unit) {
    if (this.plain) return unit;
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.units[middle] < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  slice(start, end) {
    return this.text.slice(this.toUnit(start), this.toUnit(end));
  }
}

export default function spansPad({ task, act, say }) {
  let text = null; // Places
  let shown = null; // the paragraph
  let words = null; // [start, end] in code points, when keys first need them
  let from = null; // the selection: numbers of words, or characters in small steps
  let to = null;
  let fine = false;
  let spent = false; // what was selected has been marked: it stays only as a place to go on from

  const says = ({ start, end }) => {
    const found = text.slice(start, end).replace(/\s+/g, " ");
    return `“${found.length > SHOWN ? `${found.slice(0, SHOWN - 1)}…` : found}”`;
  };
  const entries = new Entries({ task, act, say, words: says, what: "spans", changed: () => render() });

  const paint = (element, item, { draft }) => {
    text = new Places(item.text);
    words = null;
    from = to = null;
    shown = make("p", { class: "mlops-text", dir: "auto" });
    element.replaceChildren(make("style", { text: STYLE }), shown);
    shown.addEventListener("pointerup", () => setTimeout(takeSelection));
    entries.reset(draft);
    render();
  };

  /** The selected stretch in code points, or null. */
  const selected = () => {
    if (from === null || spent) return null;
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    return fine ? [first, last + 1] : [words[first][0], words[last][1]];
  };

  /** The text again, cut where marks begin and end; as few pieces as there can be. */
  const render = () => {
    if (!shown) return;
    const caret = selected();
    const cuts = new Set([0, text.length, ...(caret ?? [])]);
    for (const { start, end } of entries.items) [start, end].forEach((at) => cuts.add(Math.min(at, text.length)));
    const places = [...cuts].sort((a, b) => a - b);
    const pieces = places.slice(1).map((end, n) => piece(places[n], end, caret));
    shown.replaceChildren(...pieces);
    shown.querySelector(".mlops-caret, .mlops-chosen")?.scrollIntoView({ block: "nearest" });
  };

  const piece = (start, end, caret) => {
    const content = text.slice(start, end);
    const over = entries.items.filter((one) => one.start < end && one.end > start);
    const inCaret = caret && caret[0] <= start && end <= caret[1];
    if (!over.length) return inCaret ? make("span", { class: "mlops-caret", text: content }) : content;
    const top = over.find(({ id }) => id === entries.picked) ?? over[over.length - 1];
    const chosen = top.id === entries.picked ? " mlops-chosen" : "";
    const ends = over.filter((one) => one.end === end).map(({ label }) => label);
    const mark = make("mark", { class: `${inCaret ? "mlops-caret" : ""}${chosen}`, "data-label": ends.join(" ") || false, text: content });
    mark.style.setProperty("--mlops-mark", colourOf(task.classes, top.label));
    return mark;
  };

  /** What was selected with the pointer, without white space around it. */
  const takeSelection = () => {
    const selection = getSelection();
    if (!selection?.rangeCount || selection.isCollapsed || !shown.contains(selection.anchorNode) || !shown.contains(selection.focusNode)) return;
    const range = selection.getRangeAt(0);
    const before = document.createRange();
    before.setStart(shown, 0);
    before.setEnd(range.startContainer, range.startOffset);
    const found = range.toString();
    const start = before.toString().length + (found.length - found.trimStart().length);
    const end = start + found.trim().length;
    selection.removeAllRanges();
    shown.closest(".mlops-labeler").focus();
    if (end > start) mark(text.toPoint(start), text.toPoint(end));
  };

  const mark = (start, end) => {
    const same = entries.items.find((one) => one.start === start && one.end === end && one.label === entries.current);
    if (same) return entries.pick(same.id);
    return entries.add({ start, end });
  };

  const move = (by, extend) => {
    words ??= [...text.text.matchAll(WORD)].map(({ index, 0: word }) => [text.toPoint(index), text.toPoint(index + word.length)]);
    const most = (fine ? text.length : words.length) - 1;
    if (most < 0) return say("There is no word in this text.");
    entries.picked = null;
    if (spent) from = to;
    spent = false;
    to = from === null ? (by > 0 ? 0 : most) : Math.min(Math.max(to + by, 0), most);
    if (!extend || from === null) from = to;
    entries.render();
    render();
    return say(text.slice(...selected()));
  };

  const small = () => {
    const now = selected();
    fine = !fine;
    if (now && fine) [from, to] = [now[0], now[1] - 1];
    else if (now) {
      words ??= [];
      const at = words.findIndex(([, end]) => end > now[0]);
      from = to = at < 0 ? null : at;
    }
    say(fine ? "by characters" : "by words");
    render();
  };

  const perform = (one) => {
    const range = selected(); // null once it is marked: digits then change the mark's class
    if (one.action === "submit") return { answer: entries.values };
    if (one.action === "move") move(one.by, one.extend);
    else if (one.action === "small") small();
    else if (one.action === "take") entries.pick(one.id);
    else if ((one.action === "pick" || one.action === "mark") && range && !entries.chosen) {
      if (one.value !== undefined) entries.current = one.value;
      spent = true;
      mark(...range);
    } else {
      if (one.action === "step") from = to = null;
      entries.perform(one);
    }
    return null;
  };

  const arrow = (key, by, way) => [
    binding(`to:${key}`, [key], `${way}`, { action: "move", by }, true),
    binding(`extend:${key}`, [`Shift+${key}`], `${way}, and take in what is between`, { action: "move", by, extend: true }, true),
  ];

  return {
    draws: true,
    element: entries.element,
    bindings: [
      ...arrow("ArrowRight", 1, "to the next word"),
      ...arrow("ArrowLeft", -1, "to the word before"),
      ...arrow("ArrowDown", LEAP, `${LEAP} words on`),
      ...arrow("ArrowUp", -LEAP, `${LEAP} words back`),
      binding("mark", ["Space"], "mark the words with the class that is on", { action: "mark" }),
      binding("small", ["f"], "by characters, or by words", { action: "small" }),
      ...entries.bindings,
    ],
    enable: (on) => entries.enable(on),
    show: () => {},
    paint,
    perform,
    leave: () => {
      if (from === null) return false;
      from = to = null;
      render();
      return true;
    },
  };
}
