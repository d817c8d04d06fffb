// Text as HTML: plain, and the little LaTeX that equations are written in, as HTML that wraps on a narrow screen.

const SYMBOLS = {
  partial: "∂", epsilon: "<i>ε</i>", sum: "<span class='big'>∑</span>", max: "max", exp: "exp", log: "log",
  ",": " · ", " ": " ",
};

/** LaTeX -> HTML */
export function mathHtml(latex) {
  const tokens = latex.match(/\\(?:text|mathrm)\{[^}]*\}|\\[a-z]+|\\[, ]|[_^]\{|[{}]|[^\\_^{}]+/g) ?? [];
  let html = "";
  const closing = [];
  for (const token of tokens) {
    if (token === "_{" || token === "^{") {
      const tag = token === "_{" ? "sub" : "sup";
      html += `<${tag}>`;
      closing.push(tag);
    } else if (token === "}") html += `</${closing.pop()}>`;
    else html += wordHtml(token);
  }
  return html;
}

function wordHtml(token) {
  const upright = token.match(/^\\(?:text|mathrm)\{(.*)\}$/);
  if (upright) return escapeHtml(upright[1]);
  if (token.startsWith("\\")) return SYMBOLS[token.slice(1)] ?? "";
  const letters = /(&[a-z]+;)|[a-zA-Z]/g; // but no entity's
  return escapeHtml(token).replace(letters, (letter, entity) => entity ?? `<i>${letter}</i>`).replaceAll("-", "−");
}

export function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
