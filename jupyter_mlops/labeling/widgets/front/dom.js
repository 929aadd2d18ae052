// Elements are made here and nowhere else: content is set as text, never as markup.

/** Make an element: attributes by name, `text` for its text, then its children. */
export function make(tag, { text, ...attributes } = {}, ...children) {
  return fill(document.createElement(tag), text, attributes, children);
}

/** The same for SVG. */
export function draw(tag, { text, ...attributes } = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), text, attributes, children);
}

function fill(element, text, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/** A button with its key on it. */
export const pushButton = (kind, key, says, press, hint) =>
  make(
    "button",
    { type: "button", class: `mlops-${kind}`, "aria-keyshortcuts": key || false, title: hint ?? says, click: press },
    ...(key ? [make("kbd", { text: key === "Escape" ? "Esc" : key, "aria-hidden": "true" })] : []),
    make("span", { text: says }),
  );
