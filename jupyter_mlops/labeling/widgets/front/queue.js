// The items in hand and the labels on their way. No DOM: views listen to "change" and "said".

import { newId } from "./session.js";
import { fetched } from "./shown.js";

const BATCH = 16; // items asked for at a time
const LOW = 8; // ask for more when fewer are left
const UNDOABLE = 20; // decisions that can be taken back without asking the store
const MOST_UNSENT = 50; // beyond this the labeler takes no more keys
const HEARTBEAT = 30_000; // ms between renewals of the leases
const IDLE = 30_000; // a longer pause does not count as time spent on the item

export class Queue extends EventTarget {
  constructor({ road, outbox, session, kind }) {
    super();
    Object.assign(this, { road, outbox, session, kind });
    this.task = null; // as the store last told it: classes may be added while people label
    this.guideline = undefined; // the version of it that is shown
    this.items = []; // [0] is on the screen
    this.past = []; // own decisions, last one last: {ev, item, value}
    this.unsent = []; // events the store has not acknowledged
    this.counts = null; // {total, labeled, skipped, open, elsewhere}
    this.link = "saved"; // saved | saving | offline
    this.trouble = ""; // why it is offline, or what was refused
    this.ended = false;
  }

  async start() {
    this.unsent = await this.outbox.all();
    if (this.unsent.length) this.say(`${this.unsent.length} unsaved labels found, sending them`);
    // What waits is sent before anything is claimed, so an item just labelled is not given again.
    await this.flush();
    await this.refill(true);
    this.beat = setInterval(() => this.renew(), HEARTBEAT);
    this.nudge = () => this.flush().then(() => this.refill());
    addEventListener("online", this.nudge);
  }

  get current() {
    return this.session.mine() ? (this.items[0] ?? null) : null;
  }

  get full() {
    return this.unsent.length >= MOST_UNSENT;
  }

  get state() {
    if (!this.session.mine()) return "moved";
    if (this.current) return this.full ? "full" : "ready";
    if (!this.counts) return this.link === "offline" ? "offline" : "loading";
    if (this.refilling) return "loading";
    return this.counts.open > this.unsent.length ? "waiting" : "done";
  }

  /** Take a decision on the item in hand; the next one is in hand when this returns. */
  decide(kind, more = {}) {
    if (!this.current || this.full) return this.changed();
    const item = this.items.shift();
    const event = this.event(kind, item, more);
    this.past.push({ ev: event.ev, item, value: event.value });
    for (const old of this.past.splice(0, Math.max(0, this.past.length - UNDOABLE))) {
      forget(old.item);
    }
    this.send(event);
    return event;
  }

  /** Take the last decision back; its item is in hand again when this returns. */
  undo() {
    if (!this.past.length || this.full || this.state === "moved") return this.changed();
    const { ev, item, value } = this.past.pop();
    const event = this.event("undo", item, { undoes: ev });
    // What was answered is there to be changed.
    item.draft = value;
    item.round = (item.round ?? 0) + 1;
    this.items.unshift(item);
    this.send(event);
    return event;
  }

  event(kind, item, more) {
    const now = Date.now();
    this.turn = (this.turn ?? 0) + 1;
    const event = {
      ev: newId(),
      item: item.item,
      digest: item.digest,
      kind,
      ...more,
      session: this.session.id,
      shown_at: new Date(this.shownAt ?? now).toISOString(),
      decided_at: new Date(now).toISOString(),
      active_ms: Math.round(Math.min(now - (this.touchedAt ?? now), IDLE) + (this.activeMs ?? 0)),
      turn: this.turn,
      ...(item.suggestion && kind !== "undo" ? { suggestion: item.suggestion } : {}),
      // Which guideline was on the screen: another may hold by the time this arrives.
      ...(this.guideline === undefined ? {} : { guideline: this.guideline }),
    };
    this.shownAt = this.touchedAt = now;
    this.activeMs = 0;
    return event;
  }

  /** A sign that somebody looks at the item: time between signs counts up to IDLE. */
  touch() {
    const now = Date.now();
    this.activeMs = (this.activeMs ?? 0) + Math.min(now - (this.touchedAt ?? now), IDLE);
    this.touchedAt = now;
  }

  send(event) {
    event.sentAt = performance.now();
    this.unsent.push(event);
    const { sentAt: _, ...kept } = event;
    this.outbox.put(kept).catch(() => this.say("this browser keeps no copy of unsaved labels"));
    this.changed();
    this.flush();
    if (this.items.length < LOW) this.refill();
  }

  /** Send what is unsent, oldest first, until it is acknowledged. One flush at a time. */
  flush() {
    this.flushing ??= this.drain().finally(() => (this.flushing = null));
    return this.flushing;
  }

  async drain() {
    for (let failures = 0; this.unsent.length; ) {
      this.link = this.link === "offline" ? "offline" : "saving";
      this.changed();
      const batch = this.unsent.slice(0, MOST_UNSENT);
      try {
        const events = batch.map(({ sentAt: _, ...event }) => event);
        const answer = await this.road.ask("events", { events });
        failures = 0;
        this.settle(batch, answer);
      } catch (refusal) {
        if (this.ended && ++failures > 3) return; // the outbox keeps them for the next labeler
        this.offline(refusal);
        await new Promise((go) => setTimeout(go, Math.min(5000, 500 * 2 ** failures++)));
      }
    }
  }

  settle(batch, { accepted, refused, counts }) {
    const gone = new Set([...accepted, ...refused.map(({ ev }) => ev)]);
    this.unsent = this.unsent.filter(({ ev }) => !gone.has(ev));
    this.outbox.drop([...gone]).catch(() => {}); // sent again at worst: the store keeps one
    this.counts = counts;
    this.link = this.unsent.length ? "saving" : "saved";
    this.trouble = "";
    for (const { ev, sentAt } of batch) {
      if (gone.has(ev)) this.tell("acknowledged", { ev, ms: sentAt ? performance.now() - sentAt : null });
    }
    for (const { what } of refused) this.say(`a label was refused: ${what}`);
    this.changed();
  }

  offline(refusal) {
    this.link = "offline";
    this.trouble = [refusal.message, refusal.fix].filter(Boolean).join("; ");
    this.changed();
  }

  /** Claim more items and fetch what they show, so that the next one is always at hand. */
  refill(first = false) {
    if (!this.session.mine()) this.end();
    if (this.ended) return Promise.resolve();
    this.refilling ??= this.claim(first).finally(() => {
      this.refilling = null;
      this.changed();
    });
    return this.refilling;
  }

  async claim(first) {
    const held = () => new Set([...this.items, ...this.unsent].map(({ item }) => item));
    try {
      const answer = await this.road.ask("claim", {
        session: this.session.id,
        count: BATCH,
        holding: [...held()],
        recent: first ? UNDOABLE : 0,
      });
      const mine = held();
      const fresh = answer.items.filter(({ item }) => !mine.has(item));
      if (first) {
        this.past = answer.recent.map(({ ev, value, ...item }) => ({ ev, item, value }));
        this.shownAt = this.touchedAt = Date.now();
      }
      this.counts = answer.counts;
      this.task = answer.task ?? this.task;
      if (!this.unsent.length) this.link = "saved";
      this.items.push(...fresh);
      this.prefetch([...fresh, ...this.past.slice(-3).map(({ item }) => item)]);
    } catch (refusal) {
      this.offline(refusal);
    }
    clearTimeout(this.again);
    // Nothing in hand but something open elsewhere, or nobody answered: look again soon.
    if (!this.current && !this.ended) this.again = setTimeout(() => this.refill(first), 5000);
  }

  prefetch(items) {
    for (const item of items) if (item.text === undefined && !item.coming) item.coming = this.load(item);
    for (const item of items) if (item.text !== undefined) item.ready = true;
  }

  async load(item) {
    delete item.broken;
    try {
      await (fetched(this.kind) ? this.fetch(item) : this.locate(item));
      item.ready = true;
    } catch (reason) {
      item.broken = reason instanceof DOMException ? `it is no ${this.kind} this browser can read` : reason.message;
      // Away is not broken: the picture is fetched again when its turn comes.
      if (reason.status === 0) setTimeout(() => ((item.coming = null), this.changed()), 2000);
    }
    if (item === this.current) this.changed();
  }

  /** A picture, or the two of a pair: decoded before they are shown. */
  async fetch(item) {
    const decoded = async (side) => {
      const image = new Image();
      image.src = URL.createObjectURL(await this.road.media(item.item, side));
      await image.decode();
      return image;
    };
    if (this.kind === "pair") item.images = await Promise.all(["left", "right"].map(decoded));
    else item.image = await decoded();
  }

  /** Where a sound or film plays from: its address on the server, or its bytes from the kernel. */
  async locate(item) {
    if (!item.media) await this.road.media(item.item); // the store's own words on what is wrong
    item.address = (await this.road.address?.(item.item)) ?? URL.createObjectURL(await this.road.media(item.item));
  }

  async renew() {
    if (!this.session.mine()) return this.end();
    if (document.visibilityState === "hidden" || this.link === "offline") return;
    await this.road.ask("renew", { session: this.session.id }).catch((why) => this.offline(why));
  }

  /** Leave: the leases go back, first to the same person. Unsent labels stay in the outbox. */
  end() {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.beat);
    clearTimeout(this.again);
    removeEventListener("online", this.nudge);
    this.session.free();
    // Unless a labeler of this page goes on with the session, the items go back.
    if (!this.session.taken()) {
      this.road.ask("release", { session: this.session.id }, { last: true }).catch(() => {});
    }
    for (const item of [...this.items, ...this.past.map((past) => past.item)]) forget(item);
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  say(text) {
    this.tell("said", { text });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function forget(item) {
  for (const image of [item.image, ...(item.images ?? [])]) if (image) URL.revokeObjectURL(image.src);
  if (item.address?.startsWith("blob:")) URL.revokeObjectURL(item.address);
  item.image = item.images = item.address = item.coming = null;
  item.ready = item.text !== undefined;
}
