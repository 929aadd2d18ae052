// What has been marked on an item: a list with one entry picked, its classes, and a way back.

import { binding, classBindings } from "../keys.js";
import { make, pushButton } from "../dom.js";
import { buildPalette, colourOf } from "../palette.js";

const MOST_STEPS = 100;

/** The list of marks of one kind; `words` says an entry's place, `changed` hears of every change. */
export class Entries {
  constructor({ task, act, say, words, changed, what }) {
    Object.assign(this, { task, say, words, changed, what });
    this.current = task.classes[0];
    this.palette = buildPalette(task.classes, (value) => act({ action: "pick", value }), {
      digitsOnly: true,
      colours: true,
      toggles: true,
    });
    this.list = make("ul", { class: "mlops-entries", "aria-label": `Marked ${what}` });
    this.done = pushButton("done", "Enter", "Done", () => act({ action: "submit" }));
    this.remover = pushButton("tool", "d", "Remove", () => act({ action: "remove" }), "Remove the one picked (d)");
    this.tools = make("div", { class: "mlops-tools" }, this.done, this.remover);
    this.element = make("div", {}, this.palette.element, this.list, this.tools);
    this.act = act;
    this.reset([]);
  }

  /** The keys that every list of marks has. */
  get bindings() {
    const filter = this.palette.filter;
    return [
      ...classBindings(this.task.classes, true),
      ...(filter ? [binding("find", ["/"], "find a class by its name", { action: "find" })] : []),
      binding("next", ["j"], "pick the next mark", { action: "step", by: 1 }, true),
      binding("previous", ["k"], "pick the mark before", { action: "step", by: -1 }, true),
      binding("remove", ["d", "Delete"], "remove the mark that is picked", { action: "remove" }),
      binding("back", ["z"], "take the last change back", { action: "back" }),
      binding("submit", ["Enter"], "give this answer", { action: "submit" }),
    ];
  }

  reset(values) {
    this.serial = 0;
    this.items = (Array.isArray(values) ? values : []).map((value) => ({ ...structuredClone(value), id: this.nextId() }));
    this.picked = null;
    this.history = [];
    this.render();
  }

  nextId() {
    return `mark-${(this.serial += 1)}`;
  }

  get chosen() {
    return this.items.find(({ id }) => id === this.picked) ?? null;
  }

  keep() {
    this.history.push(JSON.stringify([this.items, this.picked]));
    this.history.splice(0, this.history.length - MOST_STEPS);
  }

  add(value, id = this.nextId()) {
    this.keep();
    this.items.push({ label: this.current, ...value, id });
    this.picked = id;
    this.notify(`${this.current} ${this.words(this.chosen)}`);
    return id;
  }

  update(id, change) {
    const found = this.items.find((one) => one.id === id);
    if (!found || Object.entries(change).every(([name, value]) => JSON.stringify(found[name]) === JSON.stringify(value))) return;
    this.keep();
    Object.assign(found, change);
    this.notify(this.words(found));
  }

  pick(id) {
    if (this.picked === id) return;
    this.picked = id;
    this.notify(this.chosen ? `${this.chosen.label} ${this.words(this.chosen)}` : "");
  }

  /** What the shared keys do; true when one of them was meant. */
  perform({ action, value, by }) {
    if (action === "find") this.palette.filter.focus();
    else if (action === "pick") {
      this.current = value;
      if (this.chosen) this.update(this.picked, { label: value });
      this.notify(value);
    } else if (action === "step") this.step(by);
    else if (action === "remove") this.remove();
    else if (action === "back") this.back();
    else return false;
    return true;
  }

  step(by) {
    if (!this.items.length) return this.say(`no ${this.what} yet`);
    const at = this.items.findIndex(({ id }) => id === this.picked);
    const next = at < 0 ? (by > 0 ? 0 : this.items.length - 1) : (at + by + this.items.length) % this.items.length;
    return this.pick(this.items[next].id);
  }

  remove() {
    if (!this.chosen) return this.say("pick one first, with j and k");
    this.keep();
    const at = this.items.indexOf(this.chosen);
    this.items.splice(at, 1);
    this.picked = this.items[Math.min(at, this.items.length - 1)]?.id ?? null;
    return this.notify("removed");
  }

  back() {
    const before = this.history.pop();
    if (!before) return this.say("nothing to take back");
    [this.items, this.picked] = JSON.parse(before);
    return this.notify("taken back");
  }

  notify(text) {
    this.render();
    this.changed();
    if (text) this.say(text);
  }

  /** The answer: the marks without what is only ours. */
  get values() {
    return this.items.map(({ id: _, ...value }) => value);
  }

  enable(on) {
    this.palette.enable(on);
    this.done.disabled = this.remover.disabled = !on;
  }

  render() {
    this.palette.choose([this.chosen?.label ?? this.current]);
    this.list.replaceChildren(
      ...this.items.map((one, n) => {
        const patch = make("span", { class: "mlops-patch", "aria-hidden": "true" });
        patch.style.backgroundColor = colourOf(this.task.classes, one.label);
        const says = `${n + 1} ${one.label} ${this.words(one)}`;
        const press = () => this.act({ action: "take", id: one.id });
        const attributes = { type: "button", class: "mlops-entry", "aria-pressed": String(one.id === this.picked), click: press };
        return make("li", {}, make("button", attributes, patch, make("span", { text: says })));
      }),
    );
  }
}
