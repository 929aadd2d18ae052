// What is on the screen: built once, then only its texts and states change. textContent only.

import { classKeys } from "./keys.js";

/** Make an element: attributes by name, `text` for its text, then its children. */
export function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

const button = (kind, key, says, press, hint) =>
  make(
    "button",
    { type: "button", class: `mlops-${kind}`, "aria-keyshortcuts": key || false, title: hint ?? says, click: press },
    ...(key ? [make("kbd", { text: key === "Escape" ? "Esc" : key, "aria-hidden": "true" })] : []),
    make("span", { text: says }),
  );

/** Build the labeler's elements. `act` is told what a person does. */
export function buildStage({ name, classes }, act) {
  const keys = classKeys(classes);
  const part = {
    root: make("div", {
      class: "mlops-labeler",
      role: "group",
      tabindex: "0",
      "aria-label": `Labeler ${name}`,
      // JupyterLab and Notebook leave keys alone below this attribute; nothing else stops both.
      "data-lm-suppress-shortcuts": "true",
    }),
    title: make("strong", { text: name }),
    count: make("span", { class: "mlops-count" }),
    chip: make("span", { class: "mlops-chip" }),
    bar: make("progress", { "aria-label": "Progress" }),
    item: make("div", { class: "mlops-item" }),
    hint: make("p", { class: "mlops-hint", text: "Click here, or press Tab, to label with the keyboard." }),
    reasons: make("div", { class: "mlops-reasons", role: "group", "aria-label": "Why skip it?" }),
    map: make("dl", { class: "mlops-map", "aria-label": "Keys" }),
    trouble: make("p", { class: "mlops-trouble", role: "alert" }),
    live: make("p", { class: "mlops-live", "aria-live": "polite" }),
  };
  part.classes = make(
    "div",
    { class: "mlops-classes", role: "group", "aria-label": "Classes" },
    ...classes.map((value, n) =>
      button("class", keys[n], value, () => act({ action: "label", value })),
    ),
  );
  part.tools = make(
    "div",
    { class: "mlops-tools", role: "group", "aria-label": "Tools" },
    button("tool", "u", "Undo", () => act({ action: "undo" }), "Undo the last label (u or Backspace)"),
    button("tool", "s", "Skip", () => act({ action: "skip" }), "Skip this item, with a reason (s)"),
    button("tool", "?", "Keys", () => act({ action: "map" }), "Show or hide the keys (?)"),
  );
  part.reasons.append(make("span", { text: "Why skip it?" }));
  for (const [key, reason] of REASONS) {
    part.reasons.append(
      button("reason", key, reason, () => act({ action: "reason", value: reason })),
    );
  }
  part.reasons.append(button("reason", "Escape", "Don't skip", () => act({ action: "leave" })));
  part.reasons.hidden = part.map.hidden = true;
  part.root.append(
    make("div", { class: "mlops-head" }, part.title, part.count, part.chip),
    part.bar,
    part.trouble,
    part.item,
    part.reasons,
    part.classes,
    part.tools,
    part.map,
    part.hint,
    part.live,
  );
  return part;
}

/** Why an item is skipped; the digit that chooses it while the question is open. */
export const REASONS = [
  ["1", "unclear"],
  ["2", "broken"],
  ["3", "not mine"],
];

/** Fill the key map: one line an action, however many keys it has. */
export function fillMap(element, map) {
  const says = new Map();
  for (const [key, { says: text }] of map) says.set(text, [...(says.get(text) ?? []), key]);
  for (const [text, keys] of says) {
    const shown = keys.flatMap((key) => [make("kbd", { text: key }), " "]);
    element.append(make("dt", {}, ...shown), make("dd", { text }));
  }
}

/** Show an item: its text, its picture, or why there is none. */
export function showItem(element, item, place) {
  element.replaceChildren(content(item, place));
}

function content(item, place) {
  if (item.text !== undefined) return make("p", { class: "mlops-text", text: item.text, dir: "auto" });
  if (item.image) {
    item.image.alt = place;
    // A picture of a few pixels is enlarged without blur.
    item.image.className = item.image.naturalWidth < 96 ? "mlops-tiny" : "";
    return item.image;
  }
  if (item.broken) {
    return make("p", { class: "mlops-note", text: `This picture can't be shown: ${item.broken}. Skip it with s.` });
  }
  return make("p", { class: "mlops-note", text: "The picture is on its way…" });
}
