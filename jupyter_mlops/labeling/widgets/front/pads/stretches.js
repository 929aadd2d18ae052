// Stretches of time in a sound or a film: where the player is, they begin and end.

import { binding } from "../keys.js";

const SECOND = 1;
const TENTH = 0.1;
const SHORTEST = 0.01; // seconds
const FRESH = 1; // seconds of a stretch that is made whole

const round = (seconds) => Math.round(1000 * seconds) / 1000;

/** A time as it reads: 1:02:03.4, 2:03.40. */
export function clock(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = (seconds % 60).toFixed(2).padStart(5, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const lasting = ({ start, end }) => `${clock(start)} – ${clock(end)}`;

/** What keys do with stretches. `player()` is the media element, `length()` its seconds. */
export function stretchKeys({ entries, player, length, say, steps = [SECOND, TENTH] }) {
  let begun = null; // a start that waits for its end

  const seek = (to) => {
    player().currentTime = Math.min(Math.max(to, 0), length());
    say(clock(player().currentTime));
  };

  const begin = () => {
    const now = round(player().currentTime);
    const one = entries.chosen;
    if (!one) {
      begun = now;
      return say(`begins at ${clock(now)}; o ends it`);
    }
    return now < one.end - SHORTEST ? entries.update(one.id, { start: now }) : say("it would begin after its end");
  };

  const end = () => {
    const now = round(player().currentTime);
    const one = entries.chosen;
    if (one && begun === null) {
      return now > one.start + SHORTEST ? entries.update(one.id, { end: now }) : say("it would end before it begins");
    }
    if (begun === null || now <= begun + SHORTEST) return say("i begins it, and o ends it later");
    entries.add({ start: begun, end: now });
    begun = null;
    return entries.pick(null);
  };

  const fresh = () => {
    const start = round(Math.min(player().currentTime, Math.max(0, length() - SHORTEST)));
    const stop = round(Math.min(start + FRESH, length()));
    if (stop > start) entries.add({ start, end: stop });
    else say("there is nothing to mark");
  };

  const actions = {
    play: () => void (player().paused ? player().play().catch(() => say("it can't be played")) : player().pause()),
    seek: ({ by }) => seek(player().currentTime + by),
    begin,
    end,
    new: fresh,
    free: () => entries.pick(null),
    take: ({ id }) => {
      entries.pick(id);
      seek(entries.chosen.start);
    },
  };

  const [wide, narrow] = steps;
  const move = (id, key, by, says) => binding(id, [key], says, { action: "seek", by }, true);
  return {
    bindings: [
      binding("play", ["Space"], "play or pause", { action: "play" }),
      move("on", "ArrowRight", wide, "a step on"),
      move("back-step", "ArrowLeft", -wide, "a step back"),
      move("on-little", "Shift+ArrowRight", narrow, "another step on"),
      move("back-little", "Shift+ArrowLeft", -narrow, "another step back"),
      binding("begin", ["i"], "it begins here", { action: "begin" }),
      binding("end", ["o"], "it ends here", { action: "end" }),
      binding("new", ["n"], "a new one of a second", { action: "new" }),
      binding("free", ["g"], "let go of the one that is picked", { action: "free" }),
    ],
    /** Do it; true when the action was one of these. */
    perform: (one) => {
      const found = actions[one.action];
      found?.(one);
      return Boolean(found);
    },
    leave: () => {
      const had = begun !== null;
      begun = null;
      return had;
    },
  };
}
