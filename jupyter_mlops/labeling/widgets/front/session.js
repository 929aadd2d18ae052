// A labeler's session: leases belong to it, so that a reload or a re-run cell gets its items back.

const PAGE = Symbol.for("jupyter-mlops.label-sessions");

/** A random 32-digit hexadecimal id (also where crypto.randomUUID is missing: plain http). */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Take a session that no labeler of this page is using, or begin one. */
export function takeSession(task) {
  const busy = (globalThis[PAGE] ??= new Set());
  const known = remembered(task);
  const id = known.find((old) => !busy.has(old)) ?? newId();
  if (!known.includes(id)) remember(task, [...known, id]);
  busy.add(id);
  let mine = true;
  return {
    id,
    // Freed once only: the next labeler of this page may have taken it over by then.
    free: () => mine && (mine = !busy.delete(id)),
    taken: () => busy.has(id),
    mine: () => mine,
  };
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
