// Copying: a number is copied whole, with all its digits and a minus that programs read, however it is rounded on the page.

import { root } from "./page.js";

export function copy(event) {
  const focused = document.activeElement;
  if (event.defaultPrevented || focused.closest("input, textarea")) return;
  const selection = getSelection();
  const ranges = Array.from({ length: selection.rangeCount }, (_, k) => selection.getRangeAt(k));
  const selected = ranges.filter((range) => !range.collapsed);
  if (selected.some((range) => range.intersectsNode(root))) give(event, selected.map(textOf).join("\n"));
  else if (!selected.length && root.contains(focused) && focused.matches("td, .source")) {
    give(event, focused.querySelector(".number").value);
  }
}

function give(event, text) {
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

/** A range as the browser writes it, but for the numbers: cells apart by tabs, rows by lines. */
function textOf(range) {
  const { commonAncestorContainer: common } = range;
  const only = (common.closest ? common : common.parentElement).closest("data.number");
  const copied = document.createElement("div");
  copied.append(only ? only.cloneNode(true) : range.cloneContents());
  for (const number of copied.querySelectorAll("data.number")) if (number.textContent) number.textContent = number.value;
  root.append(copied); // innerText is laid out
  const text = copied.innerText.trim().replaceAll("−", "-");
  copied.remove();
  return text;
}
