// Labels on their way: kept in the browser until the store has acknowledged them.

const DATABASE = "jupyter-mlops-labels";
const STORE = "events";

/** The outbox of one task: IndexedDB, else localStorage, else memory. */
export async function openOutbox(task) {
  try {
    return indexed(task, await openDatabase());
  } catch {
    return stored(task);
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore(STORE, { keyPath: "ev" });
      store.createIndex("task", "task");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("the outbox is blocked by another page"));
  });
}

function indexed(task, database) {
  const run = (mode, work) =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  return {
    kind: "indexeddb",
    put: (event) => run("readwrite", (store) => store.put({ ...event, task })),
    drop: (evs) => run("readwrite", (store) => evs.forEach((ev) => store.delete(ev))),
    all: async () => {
      const found = await run("readonly", (store) => store.index("task").getAll(task));
      return inOrder(found.map(({ task: _, ...event }) => event));
    },
  };
}

function stored(task) {
  const key = `${DATABASE}:${task}`;
  const memory = new Map();
  const shelf = () => {
    try {
      return globalThis.localStorage ?? null;
    } catch {
      return null; // a page whose storage is switched off: memory alone
    }
  };
  for (const event of JSON.parse(shelf()?.getItem(key) ?? "[]")) memory.set(event.ev, event);
  const keep = async () => shelf()?.setItem(key, JSON.stringify([...memory.values()]));
  return {
    kind: "localstorage",
    put: (event) => (memory.set(event.ev, event), keep()),
    drop: (evs) => (evs.forEach((ev) => memory.delete(ev)), keep()),
    all: async () => inOrder([...memory.values()]),
  };
}

const inOrder = (events) =>
  events.sort((a, b) => a.decided_at.localeCompare(b.decided_at) || a.turn - b.turn);
