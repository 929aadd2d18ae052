// What is on the screen: built once, then only its texts and states change.

import { make, pushButton } from "./dom.js";

/** Build the labeler's elements. `act` is told what a person does. */
export function buildStage({ name }, act) {
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
    guideline: make("details", { class: "mlops-guideline" }),
    item: make("div", { class: "mlops-item" }),
    suggestion: make("p", { class: "mlops-suggestion" }),
    pad: make("div", { class: "mlops-pad" }),
    hint: make("p", { class: "mlops-hint", text: "Click here, or press Tab, to label with the keyboard." }),
    reasons: make("div", { class: "mlops-reasons", role: "group", "aria-label": "Why skip it?" }),
    map: make("div", { class: "mlops-map" }),
    trouble: make("p", { class: "mlops-trouble", role: "alert" }),
    live: make("p", { class: "mlops-live", "aria-live": "polite" }),
  };
  part.undo = pushButton("tool", "u", "Undo", () => act({ action: "undo" }), "Undo the last label (u)");
  part.skip = pushButton("tool", "s", "Skip", () => act({ action: "skip" }), "Skip this item, with a reason (s)");
  const keys = pushButton("tool", "?", "Keys", () => act({ action: "map" }), "Show or hide the keys (?)");
  part.tools = make("div", { class: "mlops-tools", role: "group", "aria-label": "Tools" }, part.undo, part.skip, keys);
  part.again = AGAIN.map(([key, value, says]) => {
    const button = pushButton("again", key, says, () => act({ action: "again", value }));
    button.dataset.again = value;
    return button;
  });
  part.reasons.append(
    make("div", { class: "mlops-agains", role: "group", "aria-label": "Who sees it again?" },
      make("span", { text: "Who sees it again?" }), ...part.again),
    make("span", { text: "Why skip it?" }),
  );
  for (const [key, reason] of REASONS) {
    part.reasons.append(
      pushButton("reason", key, reason, () => act({ action: "reason", value: reason })),
    );
  }
  part.reasons.append(pushButton("reason", "Escape", "Don't skip", () => act({ action: "leave" })));
  part.reasons.hidden = part.map.hidden = part.guideline.hidden = part.suggestion.hidden = true;
  part.root.append(
    make("div", { class: "mlops-head" }, part.title, part.count, part.chip),
    part.bar,
    part.trouble,
    part.guideline,
    part.item,
    part.suggestion,
    part.reasons,
    make("div", { class: "mlops-foot" }, part.pad, part.tools),
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

/** Who sees a skipped item again; the letter that chooses it while the question is open. */
export const AGAIN = [
  ["l", "me", "I do, later"],
  ["o", "others", "somebody else"],
  ["n", "never", "nobody"],
];

/** Show a task's guideline, if it has one: open at first, folded by whoever knows it. */
export function showGuideline(element, text) {
  element.hidden = !text;
  if (!text || element.dataset.text === text) return;
  element.dataset.text = text;
  element.open = true;
  element.replaceChildren(make("summary", { text: "Guideline" }), ...paragraphs(text));
}

/** The Markdown that guidelines are written in, as elements: headings, lists, emphasis, code. */
function paragraphs(text) {
  const blocks = text.replaceAll("\r", "").split(/\n{2,}/);
  return blocks.filter((one) => one.trim()).map((block) => {
    const lines = block.trim().split("\n");
    const heading = /^(#{1,6})\s+(.*)$/.exec(lines[0]);
    if (heading && lines.length === 1) return make("p", { class: "mlops-heading" }, ...spoken(heading[2]));
    const points = lines.map((line) => /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/.exec(line)?.[1]);
    if (points.every((point) => point !== undefined)) {
      const ordered = /^\s*\d/.test(lines[0]);
      return make(ordered ? "ol" : "ul", {}, ...points.map((point) => make("li", {}, ...spoken(point))));
    }
    return make("p", {}, ...spoken(lines.join("\n")));
  });
}

function spoken(text) {
  const tags = { "**": "strong", "__": "strong", "*": "em", _: "em", "`": "code" };
  return text.split(/(\*\*[^*]+\*\*|__[^_]+__|\*[^*\s][^*]*\*|`[^`]+`)/).map((piece) => {
    const mark = /^(\*\*|__|\*|`).+\1$/s.exec(piece)?.[1];
    return mark ? make(tags[mark], { text: piece.slice(mark.length, -mark.length) }) : piece;
  });
}
