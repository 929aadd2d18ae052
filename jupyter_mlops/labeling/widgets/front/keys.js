// Which key does what. Pure functions: no DOM, so the map can be shown, tested and remapped.

// The tenth class is 0, as on the keyboard; u and s belong to undo and skip.
const DIGITS = [..."1234567890"];
const CLASS_KEYS = [...DIGITS, ..."qwertyiopadfghjklzxcvbnm"];
const SHELF = "jupyter-mlops-label-keys";
// These can't be given to anything else: without them nobody gets out or finds the map.
const KEPT = new Set(["Tab", "Shift+Tab", "Escape", "?"]);

/** One line of the key map: an action, its keys, and whether it goes on while a key is held. */
export const binding = (id, keys, says, act, repeats = false) => ({ id, keys, says, act, repeats });

/** What every labeler's keys do, whatever is answered. */
export function commonBindings({ draws }) {
  // Where something is drawn, Backspace would be taken for "remove what I drew last".
  const undo = draws ? ["u"] : ["u", "Backspace"];
  return [
    binding("undo", undo, "undo the last label", { action: "undo" }),
    binding("skip", ["s"], "skip this item", { action: "skip" }),
    binding("map", ["?"], "show or hide this map", { action: "map" }),
    binding("leave", ["Escape"], "leave the labeler", { action: "leave" }),
  ];
}

/** The keys of a list of classes, in its order; "" beyond the keyboard. */
export function classKeys(classes, digitsOnly = false) {
  // A class called 7 has the key 7; the others get what is left, from the left of the keyboard.
  const own = (key) => /\d/.test(key) && classes.includes(key);
  const left = (digitsOnly ? DIGITS : CLASS_KEYS).filter((key) => !own(key));
  return classes.map((name) => (/^\d$/.test(name) ? name : (left.shift() ?? "")));
}

/** A line of the key map for each class that has a key. */
export function classBindings(classes, digitsOnly = false) {
  const keys = classKeys(classes, digitsOnly);
  return classes.flatMap((value, n) =>
    keys[n] ? [binding(`class:${value}`, [keys[n]], value, { action: "pick", value })] : [],
  );
}

/** The bindings with a person's own keys in them; a key that would be taken twice is left out. */
export function withOwn(bindings, own) {
  let found = bindings;
  for (const [id, key] of Object.entries(own)) found = rebind(found, id, key).bindings ?? found;
  return found;
}

/** Give an action another key: {bindings}, or {conflict} when that key has a meaning already. */
export function rebind(bindings, id, key) {
  const one = bindings.find((line) => line.id === id);
  if (!one) return { conflict: "there is no such action here" };
  if (KEPT.has(key)) return { conflict: `${shownKey(key)} can't be given away` };
  const other = bindings.find((line) => line.id !== id && line.keys.includes(key));
  if (other) return { conflict: `${shownKey(key)} is taken: ${other.says}` };
  return { bindings: bindings.map((line) => (line === one ? { ...line, keys: [key] } : line)) };
}

/** key -> binding. */
export const keymap = (bindings) =>
  new Map(bindings.flatMap((line) => line.keys.map((key) => [key, line])));

/** The name of a key as bindings write it: "a", "Space", "Shift+ArrowLeft". */
export function keyName(event) {
  if (event.key === " ") return event.shiftKey ? "Shift+Space" : "Space";
  if (event.key.length === 1) return event.key.toLowerCase();
  return event.shiftKey ? `Shift+${event.key}` : event.key;
}

/** Whether a keydown belongs to an input method or to the application, not to us. */
export const foreign = (event) =>
  event.isComposing || event.keyCode === 229 || event.altKey || event.ctrlKey || event.metaKey;

/** What a keydown means: {action, …}, or null when it is not ours. */
export function meaning(event, map) {
  if (foreign(event)) return null;
  // Digits count by position as well: on a French keyboard the unshifted key gives "&".
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code ?? "");
  const found = map.get(keyName(event)) ?? (digit && !event.shiftKey ? map.get(digit[1]) : undefined);
  if (!found) return null;
  return event.repeat && !found.repeats ? { action: "held" } : found.act;
}

const SHOWN = { Escape: "Esc", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** A key as a person reads it. */
export const shownKey = (key) => key.replace(/\w+$/, (last) => SHOWN[last] ?? last);

/** This person's own keys, by action; kept in the browser. */
export function ownKeys() {
  try {
    const found = JSON.parse(localStorage.getItem(SHELF) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {}; // storage switched off or spoilt: the keys everybody has
  }
}

/** Keep a person's own keys; an empty object brings everybody's back. */
export function keepOwnKeys(own) {
  try {
    localStorage.setItem(SHELF, JSON.stringify(own));
    return true;
  } catch {
    return false;
  }
}
