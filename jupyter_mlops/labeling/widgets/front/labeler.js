// The labeler: keys and clicks in, items and their labels out. Truth is in the store.

import { keymap, meaning } from "./keys.js";
import { openOutbox } from "./outbox.js";
import { Queue } from "./queue.js";
import { takeSession } from "./session.js";
import { REASONS, buildStage, fillMap, showItem } from "./stage.js";
import { chooseRoad } from "./transport.js";

const REST = 1500; // ms after its last view is gone until a labeler ends

// By the widget's id: each call is given another model object.
const desks = new Map();

/** Once for each widget: its views share one queue. */
function initialize({ model }) {
  const desk = { model, roots: new Set(), queue: null, opening: null };
  desks.set(model.get("desk"), desk);
  const leave = () => desk.queue?.end();
  addEventListener("pagehide", leave);
  return () => {
    removeEventListener("pagehide", leave);
    leave();
    desks.delete(model.get("desk"));
  };
}

/** The desk's queue: the one at work, or a new one when its session was given away. */
function open(desk) {
  if (desk.opening && desk.session.mine()) return desk.opening;
  const { id } = desk.model.get("task");
  const present = () => [...desk.roots].some((root) => root.isConnected);
  const session = (desk.session = takeSession(id, present));
  desk.opening = (async () => {
    const [road, outbox] = [await chooseRoad(id, desk.model), await openOutbox(id)];
    desk.queue = new Queue({ road, outbox, session });
    if (session.mine()) desk.queue.start();
    return desk.queue;
  })();
  return desk.opening;
}

function render({ model, el }) {
  const desk = desks.get(model.get("desk"));
  const task = model.get("task");
  const act = { perform: () => {} }; // until there is a queue
  const part = buildStage(task, (one) => act.perform(one));
  fillMap(part.map, keymap(task.classes));
  el.append(part.root);
  desk.roots.add(part.root);
  const gone = new AbortController();
  begin(desk, part, task, act, gone.signal);
  return () => {
    gone.abort();
    desk.roots.delete(part.root);
    if (desk.roots.size || !desk.opening) return;
    // The cell was run again or closed: its session is free at once, for what comes next here.
    desk.session.free();
    desk.opening.then((queue) => setTimeout(() => queue.session.mine() || queue.end(), REST));
  };
}

/** Open the queue when the view is on the page; items nobody can see are left to others. */
async function begin(desk, part, task, act, signal) {
  while (!part.root.isConnected && !signal.aborted) await new Promise((go) => setTimeout(go, 100));
  if (signal.aborted) return;
  const queue = await open(desk);
  if (!signal.aborted) connect(queue, part, task, act, signal);
}

/** Let a view show its queue, and the queue hear what is done in the view. */
function connect(queue, part, task, handle, signal) {
  const map = keymap(task.classes);
  part.root.dataset.road = queue.road.kind;
  let painted = null;
  let asking = false;

  const perform = (act) => {
    queue.touch();
    if (asking && act.action !== "map") return answer(act);
    const began = performance.now();
    let event;
    if (act.action === "label") event = queue.decide("label", { value: act.value });
    if (act.action === "undo") event = queue.undo();
    if (act.action === "skip" && queue.current) ask(true);
    if (act.action === "map") part.map.hidden = !part.map.hidden;
    if (act.action === "leave") leave();
    if (event) after(event, began);
  };

  const ask = (on) => {
    asking = on;
    part.reasons.hidden = !on;
    part.classes.hidden = part.tools.hidden = on;
    if (on) part.live.textContent = "Why skip it? 1 unclear, 2 broken, 3 not mine, Escape: don't.";
    if (!part.root.contains(document.activeElement) || on) part.root.focus();
  };

  const answer = (act) => {
    const began = performance.now();
    const reason = act.action === "reason" ? act.value : "";
    if (act.action === "label" || act.action === "undo") return; // keys of the other question
    ask(false);
    const event = reason ? queue.decide("skip", { reason }) : null;
    if (event) after(event, began);
  };

  const after = (event, began) => {
    const { labeled = 0, total = 0 } = ahead(queue);
    const what = { label: `labelled ${event.value}`, skip: `skipped: ${event.reason}`, undo: "taken back" };
    part.live.textContent = `Item ${event.item + 1} ${what[event.kind]}. ${labeled} of ${total} done.`;
    // After two frames the next item is on the screen.
    requestAnimationFrame(() =>
      setTimeout(() => tell("painted", { ev: event.ev, ms: performance.now() - began })),
    );
  };

  // Esc gives the keyboard back to the notebook.
  const leave = () => {
    const home = part.root.parentElement?.closest("[tabindex]");
    if (home) home.focus();
    else part.root.blur();
  };

  const tell = (type, detail) =>
    part.root.dispatchEvent(new CustomEvent(`mlops-label-${type}`, { bubbles: true, detail }));

  const paint = () => {
    const item = queue.current;
    if (item && item.media && !item.picture) queue.prefetch([item]);
    const look = item && `${item.item}:${item.image ? "shown" : (item.broken ?? "waits")}`;
    if (item && look !== painted) {
      showItem(part.item, item, `item ${item.item + 1} of ${queue.counts?.total ?? "?"}`);
    }
    if (!item && painted !== queue.state) part.item.replaceChildren(closing(queue));
    painted = look || queue.state;
    part.root.dataset.item = item ? item.item : "";
    part.root.dataset.state = queue.state;
    const { labeled = 0, skipped = 0, total = 0 } = ahead(queue);
    part.count.textContent = `${labeled} of ${total} labelled${skipped ? `, ${skipped} skipped` : ""}`;
    part.bar.max = total || 1;
    part.bar.value = labeled + skipped;
    showLink(part, queue);
    for (const one of part.classes.children) one.disabled = !item || queue.full;
    part.tools.children[0].disabled = !queue.past.length || queue.full;
    part.tools.children[1].disabled = !item || queue.full;
    if (asking && !item) ask(false);
  };

  const onKey = (event) => {
    if (event.target instanceof HTMLInputElement) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    // Letters that mean nothing here must not become commands of a front end around us.
    if (plain && event.key !== "Tab") event.stopPropagation();
    let act = meaning(event, map);
    if (!act) return;
    event.preventDefault();
    if (act.action === "held") return;
    const reason = asking && REASONS.find(([key]) => key === event.key);
    if (reason) act = { action: "reason", value: reason[1] };
    perform(act);
  };

  // Saving belongs to the application: it sees this one key as if there were no labeler.
  const onSave = (event) => {
    const save = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s";
    if (!save || !part.root.contains(event.target)) return;
    part.root.removeAttribute("data-lm-suppress-shortcuts");
    setTimeout(() => part.root.setAttribute("data-lm-suppress-shortcuts", "true"));
  };

  handle.perform = perform;
  part.root.addEventListener("keydown", onKey, { signal });
  addEventListener("keydown", onSave, { capture: true, signal });
  part.root.addEventListener("pointermove", () => queue.touch(), { passive: true, signal });
  part.item.addEventListener("click", () => part.root.focus(), { signal });
  queue.addEventListener("change", paint, { signal });
  queue.addEventListener("said", ({ detail }) => (part.live.textContent = detail.text), { signal });
  queue.addEventListener("acknowledged", ({ detail }) => tell("acknowledged", detail), { signal });
  paint();
}

/** The counts as they will be when everything on its way has arrived. */
function ahead({ counts, unsent }) {
  if (!counts) return {};
  const { labeled, skipped, total } = counts;
  const coming = (kind) => unsent.filter((event) => event.kind === kind).length;
  return { total, labeled: Math.min(total, labeled + coming("label")), skipped: skipped + coming("skip") };
}

function showLink(part, queue) {
  const count = queue.unsent.length;
  const said = {
    saved: "✓ saved",
    saving: `↑ ${count} unsaved`,
    offline: `⚠ offline, ${count} unsaved`,
  };
  part.chip.textContent = said[queue.link];
  part.chip.dataset.link = queue.link;
  const full = queue.full ? `No more keys are taken until ${count} labels are saved. ` : "";
  const trouble = queue.link === "offline" ? `${full}${queue.trouble}. Trying again.` : full;
  if (part.trouble.textContent !== trouble) part.trouble.textContent = trouble;
  part.trouble.hidden = !trouble;
}

function closing(queue) {
  const note = document.createElement("p");
  note.className = "mlops-note";
  note.textContent = {
    loading: "The first items are on their way…",
    offline: "No items yet: the store does not answer.",
    waiting: "Nothing is left but items that other people have in hand. Looking again…",
    done: "Everything is labelled.",
    moved: "This labeler goes on in another place. Run this cell to have it here.",
  }[queue.state];
  return note;
}

export default { initialize, render };
