// The classes as buttons: to answer with, or to say what is drawn next. Hundreds can be filtered.

import { classKeys, foreign } from "./keys.js";
import { make, pushButton } from "./dom.js";

const MANY = 30; // from here on there is a filter

/** Colours that stay apart for colour-blind readers (Okabe and Ito 2008), repeated when used up. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8a6d00", "#6a3d9a"];

export const colourOf = (classes, name) => COLOURS[Math.max(0, classes.indexOf(name)) % COLOURS.length];

/** Build the buttons of the classes. `press` is told which one; `chosen` marks some of them. */
export function buildPalette(classes, press, { digitsOnly = false, colours = false, toggles = false } = {}) {
  const keys = classKeys(classes, digitsOnly);
  const buttons = classes.map((value, n) => {
    const one = pushButton("class", keys[n], value, () => press(value));
    if (toggles) one.setAttribute("aria-pressed", "false");
    if (colours) {
      const patch = make("span", { class: "mlops-patch", "aria-hidden": "true" });
      patch.style.backgroundColor = colourOf(classes, value);
      one.append(patch);
    }
    return one;
  });
  const list = make("div", { class: "mlops-classes", role: "group", "aria-label": "Classes" }, ...buttons);
  const element = make("div", {}, list);
  const filter = classes.length > MANY ? addFilter(element, classes, buttons, press) : null;
  return {
    element,
    buttons,
    filter,
    enable: (on) => buttons.forEach((one) => (one.disabled = !on)),
    choose: (names) => {
      classes.forEach((name, n) => buttons[n].setAttribute("aria-pressed", String(names.includes(name))));
    },
  };
}

function addFilter(element, classes, buttons, press) {
  const shown = () => classes.filter((_, n) => !buttons[n].hidden);
  const narrow = () => {
    const wanted = input.value.trim().toLowerCase();
    classes.forEach((name, n) => (buttons[n].hidden = !name.toLowerCase().includes(wanted)));
  };
  const input = make("input", {
    type: "search",
    class: "mlops-filter",
    placeholder: `Find one of ${classes.length} classes (/), then Enter`,
    "aria-label": "Find a class",
    input: narrow,
    keydown: (event) => {
      if (foreign(event) || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      event.stopPropagation();
      const [first] = event.key === "Enter" ? shown() : [];
      input.value = "";
      narrow();
      element.closest("[tabindex]")?.focus();
      if (first !== undefined) press(first);
    },
  });
  element.prepend(input);
  return input;
}
