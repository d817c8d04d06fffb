// The little LaTeX that equations are written in, as HTML that wraps on a narrow screen.

const SYMBOLS = { partial: "∂", sum: "<span class='big'>∑</span>", max: "max", exp: "exp", log: "log", epsilon: "<i>ε</i>", ",": " · ", " ": " " };

/** LaTeX -> HTML */
function mathHtml(latex) {
  const tokens = latex.match(/\\(?:text|mathrm)\{[^}]*\}|\\[a-z]+|\\[, ]|[_^]\{|[{}]|[^\\_^{}]+/g) ?? [];
  let html = "";
  const closing = [];
  for (const token of tokens) {
    if (token === "_{" || token === "^{") {
      const tag = token === "_{" ? "sub" : "sup";
      html += `<${tag}>`;
      closing.push(tag);
    } else if (token === "}") html += `</${closing.pop()}>`;
    else html += word(token);
  }
  return html;
}

function word(token) {
  const upright = token.match(/^\\(?:text|mathrm)\{(.*)\}$/);
  if (upright) return escapeHtml(upright[1]);
  if (token.startsWith("\\")) return SYMBOLS[token.slice(1)] ?? "";
  return escapeHtml(token).replace(/(&[a-z]+;)|[a-zA-Z]/g, (letter, entity) => entity ?? `<i>${letter}</i>`).replaceAll("-", "−");
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
