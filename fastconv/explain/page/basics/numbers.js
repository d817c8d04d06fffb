// Numbers as they are shown, and the sizes of which the style makes cells that they fit into.

/** As Python's ":.4g", with a true minus sign. */
export function show(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
  const rounded = Number(value.toPrecision(digits)) + 0;
  const far = rounded !== 0 && (Math.abs(rounded) >= 1e5 || Math.abs(rounded) < 1e-4);
  return (far ? value.toExponential(2) : String(rounded)).replaceAll("-", "−");
}

/** A number as it is shown, which knows all its digits. */
export function numberHtml(value, digits) {
  return `<data class="number" value="${Object.is(value, -0) ? "-0" : value}">${show(value, digits)}</data>`;
}

/** How many characters the longest of the numbers has. */
export const widest = (numbers) => numbers.reduce((most, value) => Math.max(most, show(value).length), 1);

/** For the style: how many columns, how many characters a number; whether rows have heads, and numbers room for a dot. */
export function sizesOf({ columns, wide, heads, dots }) {
  return `--columns:${columns};--wide:${wide};--head:${heads ? "2.5em" : "0px"};--dot:${dots ? "9px" : "0px"}`;
}
