// Which key does what. Pure functions: no DOM, so the map can be shown, tested and remapped.

// The tenth class is 0, as on the keyboard; u and s belong to undo and skip.
const CLASS_KEYS = [..."1234567890", ..."qwertyiopadfghjklzxcvbnm"];
const FIXED = [
  ["u", { action: "undo", says: "undo the last label" }],
  ["Backspace", { action: "undo", says: "undo the last label" }],
  ["s", { action: "skip", says: "skip this item" }],
  ["?", { action: "map", says: "show or hide this map" }],
  ["Escape", { action: "leave", says: "leave the labeler" }],
];

/** The keys of a list of classes, in its order; "" beyond the keyboard. */
export function classKeys(classes) {
  // A class called 7 has the key 7; the others get what is left, from the left of the keyboard.
  const left = CLASS_KEYS.filter((key) => !(/\d/.test(key) && classes.includes(key)));
  return classes.map((name) => (/^\d$/.test(name) ? name : (left.shift() ?? "")));
}

/** The key map of a list of classes: key -> {action, value?, says}. */
export function keymap(classes) {
  const map = new Map(FIXED);
  classKeys(classes).forEach((key, n) => {
    if (key) map.set(key, { action: "label", value: classes[n], says: classes[n] });
  });
  return map;
}

/** What a keydown means: {action, …}, or null when it is not ours. */
export function meaning(event, map) {
  if (event.isComposing || event.keyCode === 229) return null;
  if (event.altKey || event.ctrlKey || event.metaKey) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Digits count by position as well: on a French keyboard the unshifted key gives "&".
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code ?? "");
  const found = map.get(key) ?? (digit && !event.shiftKey ? map.get(digit[1]) : undefined);
  if (!found) return null;
  return event.repeat ? { action: "held" } : found;
}
