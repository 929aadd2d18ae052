// Answers picked from a list: one class, several, a rating, or the better of two.

import { binding, classBindings } from "./keys.js";
import { make, pushButton } from "./dom.js";
import { buildPalette } from "./palette.js";

const find = (palette) =>
  palette.filter ? [binding("find", ["/"], "find a class by its name", { action: "find" })] : [];

/** One class: its key is the whole answer. */
export function classPad({ task, act }) {
  const palette = buildPalette(task.classes, (value) => act({ action: "pick", value }));
  return {
    element: palette.element,
    bindings: [...classBindings(task.classes), ...find(palette), ...accept()],
    enable: palette.enable,
    perform: (one, draft) => {
      if (one.action === "find") palette.filter.focus();
      if (one.action === "pick") return { answer: one.value };
      if (one.action === "accept" && draft !== undefined) return { answer: draft };
      return null;
    },
    show: () => {},
    suggest: (value) => palette.choose(value === undefined ? [] : [value]),
  };
}

/** Several classes: keys switch them on and off, Enter is the answer. */
export function classesPad({ task, act, say }) {
  let chosen = new Set();
  const palette = buildPalette(task.classes, (value) => act({ action: "pick", value }), { toggles: true });
  const mark = () => palette.choose([...chosen]);
  const done = pushButton("done", "Enter", "Done", () => act({ action: "submit" }));
  palette.element.append(done);
  return {
    element: palette.element,
    bindings: [...classBindings(task.classes), ...find(palette), ...submit()],
    enable: (on) => (palette.enable(on), (done.disabled = !on)),
    show: (item, draft) => {
      chosen = new Set(Array.isArray(draft) ? draft : []);
      mark();
    },
    perform: ({ action, value }) => {
      if (action === "find") palette.filter.focus();
      if (action === "submit") return { answer: task.classes.filter((name) => chosen.has(name)) };
      if (action !== "pick") return null;
      const on = !chosen.delete(value);
      if (on) chosen.add(value);
      mark();
      say(`${value} ${on ? "on" : "off"}`);
      return null;
    },
  };
}

/** A rating: a key a step. */
export function ratingPad({ task, act }) {
  const [low, high] = task.settings?.scale ?? [1, 5];
  const steps = Array.from({ length: high - low + 1 }, (_, n) => low + n);
  const key = (step, n) => (step >= 0 && step <= 9 ? String(step) : String((n + 1) % 10));
  const buttons = steps.map((step, n) =>
    pushButton("class", key(step, n), String(step), () => act({ action: "pick", value: step })),
  );
  const says = (step) => `rate it ${step}`;
  return {
    element: make("div", { class: "mlops-classes", role: "group", "aria-label": "Rating" }, ...buttons),
    bindings: [
      ...steps.map((step, n) => binding(`rate:${step}`, [key(step, n)], says(step), { action: "pick", value: step })),
      ...accept(),
    ],
    enable: (on) => buttons.forEach((one) => (one.disabled = !on)),
    show: () => {},
    suggest: (value) => buttons.forEach((one, n) => one.setAttribute("aria-pressed", String(steps[n] === value))),
    perform: ({ action, value }, draft) => {
      if (action === "pick") return { answer: value };
      return action === "accept" && draft !== undefined ? { answer: draft } : null;
    },
  };
}

const SIDES = [
  ["left", ["1", "ArrowLeft"], "the left one"],
  ["tie", ["0", "ArrowDown"], "neither is better"],
  ["right", ["2", "ArrowRight"], "the right one"],
];

/** The better of two. */
export function pairwisePad({ act }) {
  const buttons = SIDES.map(([value, [key], says]) =>
    pushButton("class", key, says, () => act({ action: "pick", value })),
  );
  return {
    element: make("div", { class: "mlops-classes mlops-sides", role: "group", "aria-label": "Which is better?" }, ...buttons),
    bindings: [
      ...SIDES.map(([value, keys, says]) => binding(`side:${value}`, keys, says, { action: "pick", value })),
      ...accept(),
    ],
    enable: (on) => buttons.forEach((one) => (one.disabled = !on)),
    show: () => {},
    suggest: (value) => buttons.forEach((one, n) => one.setAttribute("aria-pressed", String(SIDES[n][0] === value))),
    perform: ({ action, value }, draft) => {
      if (action === "pick") return { answer: value };
      return action === "accept" && draft !== undefined ? { answer: draft } : null;
    },
  };
}

const submit = () => [binding("submit", ["Enter"], "give this answer", { action: "submit" })];
const accept = () => [binding("accept", ["Enter"], "take what is suggested", { action: "accept" })];
