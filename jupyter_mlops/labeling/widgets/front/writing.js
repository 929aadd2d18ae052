// Free text: Enter is the answer, Shift+Enter a new line, Escape gives the other keys back.

import { binding, foreign } from "./keys.js";
import { make, pushButton } from "./dom.js";

/** A field to write in. */
export function textPad({ act, say }) {
  const field = make("textarea", {
    class: "mlops-field",
    rows: "3",
    "aria-label": "Answer",
    placeholder: "Write the answer, then Enter",
    keydown: (event) => {
      event.stopPropagation();
      if (foreign(event) || event.shiftKey || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      if (event.key === "Escape") field.closest(".mlops-labeler").focus();
      else if (!event.repeat) act({ action: "submit" });
    },
  });
  const done = pushButton("done", "Enter", "Done", () => act({ action: "submit" }));
  return {
    element: make("div", { class: "mlops-writing" }, field, done),
    bindings: [
      binding("write", ["Enter", "e"], "write the answer", { action: "write" }),
    ],
    enable: (on) => ((field.disabled = !on), (done.disabled = !on)),
    show: (item, draft) => (field.value = typeof draft === "string" ? draft : ""),
    perform: ({ action }) => {
      if (action === "write") field.focus();
      if (action !== "submit") return null;
      const answer = field.value.trim();
      if (answer) return { answer };
      say("The answer is empty. To leave this item out, skip it.");
      return null;
    },
  };
}
