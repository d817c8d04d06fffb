// The page begins.

import { nameOf, termValue } from "./basics/terms.js";
import { readingsOf, recompute, termsOf } from "./trace/trace.js";
import { cellFor } from "./view/grids.js";
import { listen } from "./view/listening.js";
import { find, markScrolling, root, state, steps, trace } from "./view/page.js";
import { focusCell, follow, goTo } from "./view/stage.js";

function start() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  find("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  // A page around this one may say which theme it has.
  addEventListener("message", ({ data: sent }) => ["dark", "light"].includes(sent?.theme) && setTheme(sent.theme));
  offerSamples(trace.arrays.input.shape[0]);
  find("edits").textContent = trace.editable
    ? "Enter, a double click or a double tap on an underlined number changes it, and everything is computed again."
    : "This network is too large to be computed again here: its numbers are fixed.";
  listen();
  new ResizeObserver(() => markScrolling(root)).observe(find("sides"));
  goTo(0);
  root.dataset.started = "";
  // For a page around this one: what is shown, and how to move in it.
  root.fastconv = {
    trace, steps, state, goTo, follow, recompute, readingsOf, termsOf, termValue, nameOf, cellFor, focusCell,
  };
}

function setTheme(theme) {
  root.dataset.theme = theme;
  find("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function offerSamples(count) {
  if (count < 2) return;
  const options = Array.from({ length: count }, (_, n) => `<option>${n}</option>`);
  find("samples").hidden = false;
  find("samples").querySelector("select").innerHTML = options.join("");
}

start();
