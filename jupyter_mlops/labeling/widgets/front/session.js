// A labeler's session: leases belong to it, so that a reload or a re-run cell gets its items back.

const PAGE = Symbol.for("jupyter-mlops.label-sessions");

/** A random 32-digit hexadecimal id (also where crypto.randomUUID is missing: plain http). */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Take a session that no labeler on this page is using, or begin one. */
// A labeler whose cell was run again may be gone before it knows: `present` tells.
export function takeSession(task, present) {
  const owners = (globalThis[PAGE] ??= new Map());
  const known = remembered(task);
  const id = known.find((old) => !owners.get(old)?.()) ?? newId();
  if (!known.includes(id)) remember(task, [...known, id]);
  owners.set(id, present);
  const mine = () => owners.get(id) === present;
  return { id, mine, free: () => mine() && owners.delete(id), taken: () => owners.has(id) };
}

const shelf = (task) => `jupyter-mlops-label-sessions:${task}`;

function remembered(task) {
  try {
    return JSON.parse(sessionStorage.getItem(shelf(task)) ?? "[]");
  } catch {
    return []; // storage switched off: leases run out by themselves
  }
}

function remember(task, ids) {
  try {
    sessionStorage.setItem(shelf(task), JSON.stringify(ids));
  } catch {
    return;
  }
}
