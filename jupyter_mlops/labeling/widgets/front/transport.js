// Two roads to the store that carry the same JSON: the Jupyter server, or the kernel.

const PATIENCE = 8000; // ms without an answer before a road counts as closed

/** A refusal or an unreachable store. `status` 0 means nobody answered. */
export class Refused extends Error {
  constructor(status, answer) {
    super([answer?.what, answer?.why].filter(Boolean).join(": ") || `no answer (${status})`);
    this.status = status;
    this.fix = answer?.fix ?? "";
  }
}

/** The server's road when its extension knows the task, else the kernel's. */
export async function chooseRoad(task, model) {
  const page = pageConfig();
  if (page) {
    const road = byServer(task, page);
    try {
      await road.ask("state", {});
      return road;
    } catch (refusal) {
      // 404: no extension, or another workspace. Anything else is a server that is only away.
      if (refusal.status !== 404) return road;
    }
  }
  return byKernel(model);
}

function pageConfig() {
  const element = document.getElementById("jupyter-config-data");
  if (!element) return null;
  try {
    const config = JSON.parse(element.textContent);
    const base = config.baseUrl ? new URL(config.baseUrl, location.origin).href : "";
    return base ? { base: base.replace(/\/?$/, "/"), token: config.token ?? "" } : null;
  } catch {
    return null;
  }
}

/** By HTTP through the server extension: lives on when the kernel is gone. */
export function byServer(task, { base, token }) {
  const root = `${base}mlops/api/labels/${encodeURIComponent(task)}/`;
  const send = async (path, options = {}) => {
    const headers = { "Content-Type": "application/json", ...options.headers };
    const cookie = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie);
    if (cookie) headers["X-XSRFToken"] = decodeURIComponent(cookie[1]);
    if (token) headers.Authorization = `token ${token}`;
    let response;
    try {
      response = await fetch(root + path, {
        credentials: "same-origin",
        signal: AbortSignal.timeout(PATIENCE),
        ...options,
        headers,
      });
    } catch {
      throw new Refused(0, { what: "the Jupyter server does not answer" });
    }
    if (!response.ok) throw new Refused(response.status, await response.json().catch(() => null));
    return response;
  };
  return {
    kind: "server",
    ask: async (action, body, { last = false } = {}) => {
      const options = { method: "POST", body: JSON.stringify(body), keepalive: last };
      return (await send(action, options)).json();
    },
    media: async (item, side) =>
      (await send(`media/${item}${side ? `?side=${side}` : ""}`, { signal: undefined })).blob(),
    // Players ask for parts themselves: an hour of sound begins at once.
    address: async (item) => {
      // One byte first: a refusal has words, a player's error has none.
      await send(`media/${item}`, { headers: { Range: "bytes=0-0" } });
      return `${root}media/${item}`;
    },
    peaks: async (item) => (await send(`peaks/${item}`, { signal: undefined })).json(),
    script: (name) => import(`${base}mlops/api/labelers/${name}.js`),
  };
}

/** By comm through the kernel: where no server extension is in reach. */
export function byKernel(model) {
  const waiting = new Map();
  let turn = 0;
  model.on("msg:custom", (message, buffers) => {
    const settle = waiting.get(message?.turn);
    if (!settle) return;
    waiting.delete(message.turn);
    settle(message, buffers);
  });
  const send = (action, body) =>
    new Promise((resolve, reject) => {
      const mine = ++turn;
      const timer = setTimeout(() => {
        waiting.delete(mine);
        reject(new Refused(0, { what: "the kernel does not answer", fix: "run the cell again" }));
      }, PATIENCE);
      waiting.set(mine, (message, buffers) => {
        clearTimeout(timer);
        if (message.status === 200) resolve({ body: message.body, buffers });
        else reject(new Refused(message.status, message.body));
      });
      model.send({ turn: mine, action, body });
    });
  return {
    kind: "kernel",
    ask: async (action, body) => (await send(action, body)).body,
    media: async (item, side = "") => {
      const { body, buffers } = await send("media", { item, side });
      return new Blob([buffers[0]], { type: body.type });
    },
    peaks: async (item) => (await send("peaks", { item })).body,
    script: async (name) => {
      const { buffers } = await send("script", { name });
      const address = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      try {
        return await import(address);
      } finally {
        URL.revokeObjectURL(address);
      }
    },
  };
}
