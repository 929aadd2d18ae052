// Regions of a sound on its waveform, which the store has worked out beforehand: WaveSurfer.

import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/dist/plugins/regions.esm.js";
import { make } from "../dom.js";
import { colourOf } from "../palette.js";
import { playerOf } from "../shown.js";
import { Entries } from "./entries.js";
import { lasting, stretchKeys } from "./stretches.js";

const OPACITY = "40"; // of a region's colour, in hexadecimal
const round = (seconds) => Math.round(1000 * seconds) / 1000;

export default function wavesPad({ task, act, say, road }) {
  let player = null;
  let wave = null;
  let regions = null;
  let length = 0;
  let silent = false;

  const entries = new Entries({ task, act, say, words: lasting, what: "regions", changed: () => redraw() });
  const keys = stretchKeys({ entries, say, player: () => player, length: () => length || player.duration || 0 });

  const redraw = () => {
    if (!regions) return;
    silent = true;
    regions.clearRegions();
    for (const { id, label, start, end } of entries.items) {
      const picked = id === entries.picked;
      const content = make("span", { text: picked ? `▸ ${label}` : label });
      content.style.cssText = "font-size: 12px; padding: 0 3px; background: #fff; color: #000;";
      regions.addRegion({ id, start, end, content, color: colourOf(task.classes, label) + (picked ? "80" : OPACITY), minLength: 0.01 });
    }
    silent = false;
  };

  const dispose = () => {
    wave?.destroy();
    wave = regions = player = null;
  };

  const paint = (element, item, shown) => {
    dispose();
    entries.reset(shown.draft);
    if (!item.address) return element.replaceChildren(make("p", { class: "mlops-note", text: "The sound is on its way…" }));
    player = playerOf(item, "audio", shown.place, shown.failed);
    const canvas = make("div", { class: "mlops-wave", "aria-hidden": "true" });
    element.replaceChildren(make("div", { class: "mlops-player" }, canvas, player));
    void begin(canvas, player, item, shown);
    return player;
  };

  /** Draw the waveform from the store's peaks; a sound only the browser can decode draws itself. */
  const begin = async (canvas, mine, item, { failed }) => {
    let found;
    try {
      found = await road.peaks(item.item);
    } catch (reason) {
      return mine === player && failed(reason.message);
    }
    if (mine !== player) return undefined;
    length = found.duration ?? 0;
    if (found.duration === 0) return failed("there is no sound in it");
    if (found.note) say(found.note);
    const style = getComputedStyle(canvas);
    const ink = style.getPropertyValue("--mlops-ring").trim() || "#1976d2";
    wave = WaveSurfer.create({
      container: canvas,
      media: player,
      height: 120,
      waveColor: ink,
      progressColor: ink,
      cursorColor: style.color,
      cursorWidth: 2,
      normalize: true,
      ...(found.peaks.length ? { peaks: [found.peaks], duration: found.duration } : { url: item.address }),
    });
    wave.on("error", () => {}); // said by the player's own event
    regions = wave.registerPlugin(Regions.create());
    wave.once("ready", (seconds) => {
      if (mine !== player) return;
      length ||= seconds;
      regions.enableDragSelection({ color: "#88888840" });
      redraw();
    });
    regions.on("region-created", (region) => {
      if (silent || entries.items.some(({ id }) => id === region.id)) return;
      const [start, end] = [round(Math.max(0, region.start)), round(Math.min(length, region.end))];
      setTimeout(() => (end > start ? entries.add({ start, end }) : redraw()));
    });
    regions.on("region-updated", (region) => {
      if (silent) return;
      entries.update(region.id, { start: round(Math.max(0, region.start)), end: round(Math.min(length, region.end)) });
    });
    regions.on("region-clicked", (region, event) => {
      event.stopPropagation();
      entries.pick(region.id);
    });
    return undefined;
  };

  return {
    draws: true,
    plays: true,
    element: entries.element,
    bindings: [...keys.bindings, ...entries.bindings],
    enable: (on) => entries.enable(on),
    show: () => {},
    paint,
    perform: (one) => {
      if (one.action === "submit") return { answer: entries.values };
      if (player && !keys.perform(one)) entries.perform(one);
      return null;
    },
    leave: keys.leave,
    dispose,
  };
}
