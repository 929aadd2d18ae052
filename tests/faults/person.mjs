// A person who labels by the labeler's own queue, outbox and transport; only eyes and hands are made up.
//
// Takes one JSON argument: {front, shelf, base, token, task, kind, answer, classes, seed, pace, deaf}.
// Says on standard output, a line each: {"decided": event}, {"sent": [ev, …], "at": ms},
// {"acknowledged": ev}, {"said": text}. Ends when its input does, once everything is acknowledged.

import { readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const given = JSON.parse(process.argv[2]);
const tell = (line) => writeSync(1, `${JSON.stringify(line)}\n`);
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

// What a browser keeps for a page, in a file that outlives this process.
const shelf = (name) => {
  const file = `${given.shelf}.${name}.json`;
  let kept = {};
  try {
    kept = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // Nothing was kept yet.
  }
  return {
    getItem: (key) => kept[key] ?? null,
    setItem: (key, value) => {
      kept[key] = value;
      writeFileSync(`${file}.new`, JSON.stringify(kept));
      renameSync(`${file}.new`, file);
    },
  };
};
Object.defineProperty(globalThis, "localStorage", { value: shelf("local") });
Object.defineProperty(globalThis, "sessionStorage", { value: shelf("session") });
globalThis.document = { cookie: "", visibilityState: "visible" };
globalThis.addEventListener = globalThis.removeEventListener = () => {};

const part = (name) => import(pathToFileURL(`${given.front}/${name}.js`).href);
const [{ openOutbox }, { Queue }, { takeSession }, { byServer, Refused }] = await Promise.all(
  ["outbox", "queue", "session", "transport"].map(part),
);

let state = given.seed;
/** A number from 0 to 1; the same ones for the same seed (mulberry32). */
function chance() {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
const one = (list) => list[Math.floor(chance() * list.length)];

function answer(item) {
  if (given.answer === "spans") return [{ label: one(given.classes), start: 0, end: 1 + Math.floor(chance() * item.text.length) }];
  if (given.answer === "pairwise") return one(["left", "right", "tie"]);
  return one(given.classes);
}

const server = byServer(given.task, { base: given.base, token: given.token });
const road = {
  ...server,
  ask: async (action, body, options) => {
    if (action === "events") tell({ sent: body.events.map(({ ev }) => ev), at: Date.now() });
    const answer = await server.ask(action, body, options);
    if (action === "events" && chance() < given.deaf) {
      throw new Refused(0, { what: "the answer was lost on its way" });
    }
    return answer;
  },
};

let leaving = false;
process.stdin.on("end", () => (leaving = true)).resume();

const session = takeSession(given.task, () => true);
const queue = new Queue({ road, outbox: await openOutbox(given.task), session, kind: given.kind });
queue.addEventListener("acknowledged", ({ detail }) => tell({ acknowledged: detail.ev }));
queue.addEventListener("said", ({ detail }) => tell({ said: detail.text }));
await queue.start();
while (!leaving) {
  await pause(2 * given.pace * chance());
  if (leaving || !queue.current || queue.full) continue;
  const drawn = chance();
  let event;
  if (drawn < 0.1 && queue.past.length) event = queue.undo();
  else if (drawn < 0.15) event = queue.decide("skip", { reason: "unclear" });
  else event = queue.decide("label", { value: answer(queue.current) });
  const { ev, item, kind, value = null, undoes = null } = event;
  tell({ decided: { ev, item, kind, value, undoes } });
}
while (queue.unsent.length) await pause(20);
queue.end();
await pause(200); // the leases' way back
process.exit(0);
