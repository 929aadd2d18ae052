// An item on the screen: a text, a picture, a sound, a film, a row, two side by side; or why not.

import { make } from "./dom.js";

const KINDS_NAMES = { image: "picture", audio: "sound", video: "film", pair: "pair" };

/** Whether an item's content is fetched beforehand: pictures are, sounds and films play by parts. */
export const fetched = (kind) => kind === "image" || kind === "pair";

/** Show an item. Returns the media element that plays, if there is one. */
export function showItem(element, item, { kind, place, failed }) {
  const { node, player } = content(item, kind, place, failed);
  element.replaceChildren(node);
  return player ?? null;
}

function content(item, kind, place, failed) {
  if (item.broken) return { node: note(`This ${KINDS_NAMES[kind] ?? "item"} can't be shown: ${item.broken}. Skip it with s.`) };
  if (kind === "row") return { node: rowTable(JSON.parse(item.text)) };
  if (kind === "pair") return { node: pair(item, place) };
  if (item.text !== undefined) return { node: paragraph(item.text) };
  if (kind === "image") {
    return { node: item.image ? picture(item.image, place) : note("The picture is on its way…") };
  }
  const player = playerOf(item, kind, place, failed);
  return { node: make("div", { class: "mlops-player" }, player), player };
}

const note = (text) => make("p", { class: "mlops-note", text });
const paragraph = (text) => make("p", { class: "mlops-text", text, dir: "auto" });

function picture(image, place) {
  image.alt = place;
  // A picture of a few pixels is enlarged without blur.
  image.className = image.naturalWidth < 96 ? "mlops-tiny" : "";
  return image;
}

function pair(item, place) {
  const texts = item.text === undefined ? null : JSON.parse(item.text);
  if (!texts && !item.images) return note("The pictures are on their way…");
  const side = (name, n) =>
    make(
      "figure",
      { class: "mlops-side" },
      texts ? paragraph(String(texts[name])) : picture(item.images[n], `${place}, ${name}`),
      make("figcaption", { text: name }),
    );
  return make("div", { class: "mlops-pair" }, side("left", 0), side("right", 1));
}

function rowTable(cells) {
  const says = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"));
  const line = ([name, value]) =>
    make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: says(value), dir: "auto" }));
  return make("table", { class: "mlops-row" }, make("tbody", {}, ...Object.entries(cells).map(line)));
}

/** A player of a sound or film: by address where there is one, so that it plays before it is here whole. */
export function playerOf(item, kind, place, failed) {
  const player = make(kind, { controls: true, preload: "metadata", "aria-label": place });
  player.src = item.address;
  player.addEventListener("error", () => failed(says(player.error)), { once: true });
  return player;
}

const says = (error) =>
  error?.code === MediaError.MEDIA_ERR_NETWORK ? "the store does not answer" : "this browser can't play it";
