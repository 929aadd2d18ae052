// The key map on the screen, where each action can be given another key.

import { keepOwnKeys, keyName, ownKeys, rebind, shownKey } from "./keys.js";
import { make } from "./dom.js";

/** Fill the key map. `changed` is told when somebody has other keys from now on. */
export function fillMap(element, bindings, { say, changed }) {
  const rows = bindings.map((line) => {
    const keys = line.keys.flatMap((key) => [make("kbd", { text: shownKey(key) }), " "]);
    const other = make("button", {
      type: "button",
      class: "mlops-rekey",
      text: "other key",
      "aria-label": `Other key for: ${line.says}`,
      click: () => ask(other, line),
    });
    return make("li", {}, make("span", { class: "mlops-keys" }, ...keys), make("span", { text: line.says }), other);
  });
  const everybodys = make("button", { type: "button", class: "mlops-tool", click: () => keep({}) }, "Everybody's keys again");
  element.replaceChildren(make("ul", { "aria-label": "Keys" }, ...rows), everybodys);

  const keep = (own) => {
    say(keepOwnKeys(own) ? "Keys changed." : "This browser keeps no settings: the keys stay as they are.");
    changed();
  };

  const ask = (button, line) => {
    button.textContent = "press a key…";
    button.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Shift") return ask(button, line);
        event.preventDefault();
        event.stopPropagation();
        button.textContent = "other key";
        if (event.key === "Escape" || event.key === "Tab") return undefined;
        const found = rebind(bindings, line.id, keyName(event));
        if (!found.conflict) return keep({ ...ownKeys(), [line.id]: keyName(event) });
        button.textContent = `other key (${found.conflict})`;
        return say(`Not changed: ${found.conflict}.`);
      },
      { once: true },
    );
  };
}
