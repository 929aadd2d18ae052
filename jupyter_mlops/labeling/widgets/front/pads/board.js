// A surface to draw boxes and polygons on with the pointer: Annotorious, kept within the labeler.

import { createImageAnnotator } from "@annotorious/annotorious";
import sheet from "@annotorious/annotorious/annotorious.css";
import { draw, make } from "../dom.js";

const OWN_STYLE = `
.mlops-board { position: relative; margin: auto; line-height: 0; }
.mlops-board > div { display: block !important; }
.mlops-labeler .mlops-board img, .mlops-labeler .mlops-board canvas { width: 100% !important; height: auto !important; max-width: none; max-height: none; }
.mlops-board .a9s-rotation-handle-group { display: none; }
.mlops-over { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; overflow: visible; }
.mlops-over.mlops-takes { pointer-events: all; cursor: crosshair; }
.mlops-over text { paint-order: stroke; stroke: #fff; fill: #000; font-family: var(--jp-ui-font-family, sans-serif); }
`;

/** The style that drawing needs, once a page. */
function addStyle() {
  const id = "mlops-board-style";
  if (!document.getElementById(id)) document.head.append(make("style", { id, text: sheet + OWN_STYLE }));
}

/** Annotorious takes Ctrl+Z from the whole page; a notebook's Ctrl+Z must not change a drawing. */
function withoutPageKeys(create) {
  const add = document.addEventListener;
  document.addEventListener = (type, ...rest) => type === "keydown" || add.call(document, type, ...rest);
  try {
    return create();
  } finally {
    delete document.addEventListener;
  }
}

/** Boxes or polygons over a picture. Coordinates are the picture's own pixels. */
export class Board {
  /**
   * `surface` is an image or canvas of `width` by `height` pixels; `tool` is "rectangle",
   * "polygon" or null. `on.drawn(geometry, id)`, `on.edited()` and `on.picked(id)` tell what the
   * pointer did.
   */
  constructor(surface, { width, height, tool, colour, on }) {
    addStyle();
    Object.assign(this, { width, height, tool, on });
    this.over = draw("svg", { class: "mlops-over", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    this.element = make("div", { class: "mlops-board" }, surface);
    // Small pictures are enlarged to be drawn on; none is higher than most of the window.
    const most = (0.56 * innerHeight * width) / height;
    this.element.style.width = `min(100%, ${Math.round(Math.min(Math.max(width, 480), most))}px)`;
    this.surface = surface;
    if (tool) {
      const style = ({ id }) => ({ stroke: colour(id), fill: colour(id), fillOpacity: 0.15, strokeWidth: 2 });
      this.annotorious = withoutPageKeys(() => createImageAnnotator(surface, { drawingEnabled: true, drawingMode: tool === "polygon" ? "click" : "drag", style }));
      this.annotorious.setDrawingTool(tool);
      this.annotorious.on("createAnnotation", (made) => {
        this.fresh = true;
        this.quietly(() => on.drawn(this.geometry(made), made.id));
        // Let go at once: the next shape can be drawn without a click between.
        setTimeout(() => this.quietly(() => this.annotorious?.cancelSelected()));
      });
      this.annotorious.on("selectionChanged", ([found]) => found && !this.silent && on.picked(found.id));
      // A click beside everything lets go; the click that ended a drawing does not.
      this.element.addEventListener("pointerdown", () => (this.fresh = false), { capture: true });
      this.element.addEventListener("click", () =>
        setTimeout(() => this.fresh || !this.annotorious || this.annotorious.getSelected().length || on.picked(null)),
      );
      this.element.addEventListener("pointerup", () => setTimeout(() => this.silent || on.edited()));
      // Handles have no names; keys do all they can do.
      this.watch = new MutationObserver(() => this.tame());
      this.watch.observe(this.element, { childList: true, subtree: true });
    }
    (this.annotorious?.element ?? this.element).append(this.over);
    this.tame();
  }

  tame() {
    for (const handle of this.element.querySelectorAll("[role=button]:not([aria-label])")) {
      handle.setAttribute("aria-label", "Handle");
      handle.setAttribute("tabindex", "-1");
    }
    const layer = this.element.querySelector(".a9s-annotationlayer");
    layer?.setAttribute("tabindex", "-1");
    layer?.setAttribute("aria-label", "Drawing");
  }

  /** Do something to the drawing that is no act of the pointer's. */
  quietly(work) {
    this.silent = true;
    try {
      work();
    } finally {
      this.silent = false;
    }
  }

  /** Screen pixels as picture pixels. */
  get unit() {
    return this.width / (this.element.clientWidth || this.width);
  }

  geometry({ target: { selector } }) {
    const { type, geometry } = selector;
    const inside = (value, most) => Math.round(100 * Math.min(Math.max(value, 0), most)) / 100;
    if (type === "POLYGON") {
      return { points: geometry.points.map(([x, y]) => [inside(x, this.width), inside(y, this.height)]) };
    }
    const { minX, minY, maxX, maxY } = geometry.bounds;
    const [x, y] = [inside(minX, this.width), inside(minY, this.height)];
    return { x, y, width: inside(maxX, this.width) - x, height: inside(maxY, this.height) - y };
  }

  /** What is drawn: id -> geometry. */
  read() {
    return new Map((this.annotorious?.getAnnotations() ?? []).map((one) => [one.id, this.geometry(one)]));
  }

  /** Draw these entries; what the pointer has in hand stays in it. */
  write(entries) {
    if (!this.annotorious) return;
    this.quietly(() => {
      const held = this.annotorious.getSelected()[0]?.id;
      this.annotorious.setAnnotations(entries.map(asAnnotation), true);
      if (held && entries.some(({ id }) => id === held)) this.annotorious.setSelected(held);
      else this.annotorious.cancelSelected();
    });
    this.tame();
  }

  /** A line around the entry that is picked, seen on light and on dark. */
  outline({ points, x, y, width, height }) {
    const corners = points ?? [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
    return [["#fff", 4, ""], ["#000", 2, `${6 * this.unit} ${4 * this.unit}`]].map(([stroke, wide, dashes]) =>
      draw("polygon", { points: corners.join(" "), fill: "none", stroke, "stroke-width": wide * this.unit, "stroke-dasharray": dashes || false }),
    );
  }

  /** Whether the pointer draws, or something else listens to it. */
  drawing(on) {
    this.annotorious?.setDrawingEnabled(on);
    this.over.classList.toggle("mlops-takes", !on);
  }

  cancel() {
    this.annotorious?.cancelDrawing();
  }

  /** Where on the picture a pointer event was. */
  place(event) {
    const box = this.over.getBoundingClientRect();
    const at = (from, start, size, most) => Math.min(Math.max(((from - start) / size) * most, 0), most);
    return [at(event.clientX, box.left, box.width, this.width), at(event.clientY, box.top, box.height, this.height)];
  }

  destroy() {
    this.watch?.disconnect();
    this.annotorious?.destroy();
    this.annotorious = null;
  }
}

function asAnnotation({ id, points, x, y, width, height }) {
  const corners = points ?? [[x, y], [x + width, y + height]];
  const [xs, ys] = [corners.map(([one]) => one), corners.map(([, one]) => one)];
  const bounds = { minX: Math.min(...xs), minY: Math.min(...ys), maxX: Math.max(...xs), maxY: Math.max(...ys) };
  const selector = points
    ? { type: "POLYGON", geometry: { points, bounds } }
    : { type: "RECTANGLE", geometry: { x, y, w: width, h: height, rot: 0, bounds } };
  return { id, bodies: [], target: { annotation: id, selector } };
}
