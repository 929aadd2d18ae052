// The labeler: keys and clicks in, items and their labels out. Truth is in the store.

import { openOutbox } from "./outbox.js";
import { Queue } from "./queue.js";
import { takeSession } from "./session.js";
import { buildStage } from "./stage.js";
import { chooseRoad } from "./transport.js";
import { connect, openPad } from "./view.js";

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
  const { id, kind } = desk.model.get("task");
  const present = () => [...desk.roots].some((root) => root.isConnected);
  const session = (desk.session = takeSession(id, present));
  desk.opening = (async () => {
    const [road, outbox] = [await chooseRoad(id, desk.model), await openOutbox(id)];
    desk.queue = new Queue({ road, outbox, session, kind });
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
  let makePad;
  try {
    makePad = await openPad(task.answer ?? "class", queue.road);
  } catch (reason) {
    part.trouble.textContent = `This labeler can't be shown: ${reason.message}.`;
    return;
  }
  if (!signal.aborted) connect({ queue, part, task, handle: act, signal, makePad });
}

export default { initialize, render };
