// A view at work: it shows its queue, and the queue hears what is done in it.

import { classPad, classesPad, pairwisePad, ratingPad } from "./choices.js";
import { binding, commonBindings, foreign, keyName, keymap, meaning, ownKeys, withOwn } from "./keys.js";
import { fillMap } from "./remap.js";
import { showItem } from "./shown.js";
import { AGAIN, REASONS, showGuideline } from "./stage.js";
import { textPad } from "./writing.js";

const PADS = { class: classPad, classes: classesPad, rating: ratingPad, pairwise: pairwisePad, text: textPad };
// These come in a script of their own, when a task needs them.
const SCRIPTS = {
  boxes: "shapes",
  polygons: "shapes",
  keypoints: "shapes",
  spans: "spans",
  regions: "waves",
  segments: "film",
  tracks: "film",
};

/** What makes the pad of an answer: where it is picked, written or drawn. */
export async function openPad(answer, road) {
  return PADS[answer] ?? (await road.script(SCRIPTS[answer])).default;
}

/** Join a view and its queue, until `signal` says that the view has gone. */
export function connect({ queue, part, task, handle, signal, makePad }) {
  part.root.dataset.road = queue.road.kind;
  let painted = null;
  let begun = null; // the item, and the time it came round, that the pad has begun with
  let asking = false;
  let again = "never"; // who sees the item again that is about to be skipped
  let player = null;
  let classes = "";
  let pad, bindings, map;

  const say = (text) => (part.live.textContent = text);
  const tell = (type, detail) =>
    part.root.dispatchEvent(new CustomEvent(`mlops-label-${type}`, { bubbles: true, detail }));

  /** Build the pad: once, and again when the task was given other classes. */
  const build = () => {
    const now = { ...task, ...queue.task };
    classes = JSON.stringify([now.classes, now.settings]);
    pad?.dispose?.();
    pad = makePad({ task: now, act: perform, say, road: queue.road, stage: part.item });
    part.pad.replaceChildren(pad.element);
    rekey();
    showGuideline(part.guideline, now.settings?.guideline);
    const version = now.settings?.guideline_version ?? "";
    if (queue.guideline !== undefined && queue.guideline !== version) say("The guideline has changed.");
    queue.guideline = version;
    painted = begun = null;
  };

  const rekey = () => {
    const plays = ["audio", "video"].includes(task.kind) && !pad.plays;
    const play = plays ? [binding("play", ["Space"], "play or pause", { action: "play" })] : [];
    bindings = withOwn([...pad.bindings, ...play, ...commonBindings(pad)], ownKeys());
    map = keymap(bindings);
    fillMap(part.map, bindings, { say, changed: () => (rekey(), part.root.focus()) });
  };

  const perform = (act) => {
    queue.touch();
    if (asking && act.action !== "map") return answer(act);
    const began = performance.now();
    let event;
    if (act.action === "undo") event = queue.undo();
    else if (act.action === "skip" && queue.current) ask(true);
    else if (act.action === "map") toggleMap();
    else if (act.action === "play") void (player?.paused ? player.play().catch(() => {}) : player?.pause());
    else if (act.action === "leave") pad.leave?.() || leave();
    else if (queue.current && !queue.full) {
      const done = pad.perform(act, draftOf(queue.current));
      if (done?.answer !== undefined) event = queue.decide("label", { value: done.answer });
    }
    if (event) after(event, began);
  };

  const toggleMap = () => {
    part.map.hidden = !part.map.hidden;
    if (!part.map.hidden) part.map.scrollIntoView({ block: "nearest" });
  };

  const ask = (on) => {
    asking = on;
    part.reasons.hidden = !on;
    part.pad.hidden = part.tools.hidden = on;
    if (on) {
      seenBy({ ...task.settings, ...queue.task?.settings }.requeue ?? "never");
      say("Why skip it? 1 unclear, 2 broken, 3 not mine, Escape: don't. Who sees it again? l I do, o somebody else, n nobody.");
    }
    // A reason that was clicked is gone from the screen, and the keyboard must not go with it.
    const at = document.activeElement;
    if (on || !part.root.contains(at) || part.reasons.contains(at)) part.root.focus();
  };

  const seenBy = (value) => {
    again = value;
    for (const button of part.again) button.setAttribute("aria-pressed", String(button.dataset.again === value));
  };

  const answer = (act) => {
    if (act.action === "again") return seenBy(act.value);
    const began = performance.now();
    const reason = act.action === "reason" ? act.value : "";
    if (!reason && act.action !== "leave") return; // keys of the other question
    ask(false);
    const event = reason ? queue.decide("skip", { reason, requeue: again }) : null;
    if (event) after(event, began);
  };

  const after = (event, began) => {
    const { labeled = 0, total = 0 } = ahead(queue);
    const what = { label: `labelled ${inWords(event.value)}`, skip: `skipped: ${event.reason}`, undo: "taken back" };
    say(`Item ${event.item + 1} ${what[event.kind]}. ${labeled} of ${total} done.`);
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

  const show = (item) => {
    const draft = draftOf(item);
    const place = `item ${item.item + 1} of ${queue.counts?.total ?? "?"}`;
    const failed = (why) => ((item.broken = why), queue.changed());
    const shown = { kind: task.kind, place, failed };
    // A pad that draws on the item shows it itself; what is broken is said the same way everywhere.
    if (item.broken || !pad.paint) player = showItem(part.item, item, shown);
    else player = pad.paint(part.item, item, { ...shown, draft }) ?? null;
    // A picture that comes late must not take away what was written meanwhile.
    const turn = `${item.item}:${item.round ?? 0}`;
    if (!item.broken && (pad.paint || turn !== begun)) pad.show(item, draft);
    begun = turn;
    const by = item.suggestion;
    part.suggestion.hidden = !by || item.draft !== undefined;
    if (by) part.suggestion.textContent = suggested(by);
    pad.suggest?.(draft);
  };

  const paint = () => {
    if (queue.task && JSON.stringify([queue.task.classes, queue.task.settings]) !== classes) build();
    const item = queue.current;
    if (item) queue.prefetch([item]);
    const look = item && `${item.item}:${item.broken ?? (item.ready ? "shown" : "waits")}:${item.round ?? 0}`;
    if (item && look !== painted) show(item);
    if (!item && painted !== queue.state) {
      player = null;
      part.suggestion.hidden = true;
      part.item.replaceChildren(closing(queue));
    }
    painted = look || queue.state;
    part.root.dataset.item = item ? item.item : "";
    part.root.dataset.state = queue.state;
    const { labeled = 0, skipped = 0, total = 0 } = ahead(queue);
    part.count.textContent = `${labeled} of ${total} labelled${skipped ? `, ${skipped} skipped` : ""}`;
    part.bar.max = total || 1;
    part.bar.value = labeled + skipped;
    showLink(part, queue);
    pad.enable(Boolean(item) && !queue.full && !item.broken);
    part.undo.disabled = !queue.past.length || queue.full;
    part.skip.disabled = !item || queue.full;
    if (asking && !item) ask(false);
  };

  const onKey = (event) => {
    // Whoever writes or picks a place in a player needs these keys; nobody outside does.
    if (event.target.matches("textarea, input, select")) {
      if (event.key !== "Escape" || foreign(event)) return;
      part.root.focus();
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    // Letters that mean nothing here must not become commands of a front end around us.
    if (plain && event.key !== "Tab") event.stopPropagation();
    const pressed = event.target.closest("button, summary, audio, video");
    // A button in focus is pressed by its own keys.
    if (pressed && ["Enter", "Space"].includes(keyName(event))) return;
    let act = meaning(event, map);
    const reason = asking && !foreign(event) && REASONS.find(([key]) => key === event.key);
    const seen = asking && !foreign(event) && AGAIN.find(([key]) => key === event.key);
    if (reason) act = event.repeat ? { action: "held" } : { action: "reason", value: reason[1] };
    else if (seen) act = { action: "again", value: seen[1] };
    if (!act) return;
    event.preventDefault();
    if (act.action !== "held") perform(act);
  };

  // Saving belongs to the application: it sees this one key as if there were no labeler.
  const onSave = (event) => {
    const save = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s";
    if (!save || !part.root.contains(event.target)) return;
    part.root.removeAttribute("data-lm-suppress-shortcuts");
    setTimeout(() => part.root.setAttribute("data-lm-suppress-shortcuts", "true"));
  };

  build();
  handle.perform = perform;
  part.root.addEventListener("keydown", onKey, { signal });
  addEventListener("keydown", onSave, { capture: true, signal });
  part.root.addEventListener("pointermove", () => queue.touch(), { passive: true, signal });
  part.item.addEventListener("click", (event) => event.target.closest("button, input, audio, video") || part.root.focus(), { signal });
  queue.addEventListener("change", paint, { signal });
  queue.addEventListener("said", ({ detail }) => say(detail.text), { signal });
  queue.addEventListener("acknowledged", ({ detail }) => tell("acknowledged", detail), { signal });
  signal.addEventListener("abort", () => pad.dispose?.());
  paint();
}

/** What an answer begins with: the one that was taken back, else what is suggested. */
const draftOf = (item) => item.draft ?? item.suggestion?.value;

const suggested = ({ value, by, confidence }) => {
  const sure = typeof confidence === "number" ? `, ${Math.round(100 * confidence)} % sure` : "";
  return `Suggested: ${inWords(value)}${by ? ` (${by}${sure})` : sure}`;
};

function inWords(value) {
  if (!Array.isArray(value)) return String(value);
  if (value.every((one) => typeof one === "string")) return value.length ? value.join(", ") : "as none of the classes";
  return `${value.length} marked`;
}

/** The counts as they will be when everything on its way has arrived. */
function ahead({ counts, unsent }) {
  if (!counts) return {};
  const { labeled, skipped, total } = counts;
  // An item that somebody sees again is still open.
  const coming = (kind) => unsent.filter((one) => one.kind === kind && (one.requeue ?? "never") === "never").length;
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
