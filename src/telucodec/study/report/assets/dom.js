// elements, numbers, the tooltip and the theme

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// texts only ever become text nodes, so names cannot become markup
function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}
const el = (tag, attributes, ...children) => make(null, tag, attributes, children);
const draw = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);

function written(value, digits = 3, signed = false) {
  if (value == null) return "n/a";
  const size = Math.abs(value);
  const tiny = digits > 3 && size > 0 && size < 10 ** -digits / 2;
  const text = size >= 1e5 || tiny ? value.toExponential(1) : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  return (signed && value > 0 ? "+" : "") + text.replace("-", "\u2212");
}
const measured = (key, value, signed) => written(value, (data.measures[key] || { digits: 3 }).digits, signed);
const titled = (key) => (data.measures[key] || { title: key }).title;

function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function options(select, entries, chosen) {
  for (const [value, text] of entries) select.append(el("option", { value, selected: value === chosen }, text));
}

function mean(values) {
  const known = values.filter((value) => value != null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

// one tooltip for all pictures; what it says is always on the page elsewhere too
const tip = byId("tip");
function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line, number) => el(number ? "span" : "b", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(6, x + 14), document.documentElement.clientWidth - box.width - 6);
  const top = y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18;
  tip.style.transform = `translate(${left}px, ${Math.max(4, top)}px)`;
}
let focused = null; // places the tip of what the keyboard is on
const hideTip = () => { tip.hidden = true; };
addEventListener("scroll", () => (focused && !tip.hidden ? focused() : hideTip()), { passive: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

function withTip(node, lines) {
  node.addEventListener("pointermove", (event) => showTip(lines(), event.clientX, event.clientY));
  node.addEventListener("pointerleave", hideTip);
  const beside = () => {
    const box = node.getBoundingClientRect();
    showTip(lines(), box.right, box.top);
  };
  node.addEventListener("focus", () => { focused = beside; beside(); });
  node.addEventListener("blur", () => { focused = null; hideTip(); });
  return node;
}

function startTheme() {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let asked = null;
  const apply = () => {
    const dark = asked == null ? system.matches : asked;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
  };
  button.addEventListener("click", () => { asked = document.documentElement.dataset.theme !== "dark"; apply(); });
  system.addEventListener("change", apply);
  apply();
}

// draws again whenever the room changes
function redrawn(host, render) {
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth && host.clientWidth !== width) { width = host.clientWidth; render(width); }
  }).observe(host);
  return () => { if (width) render(width); };
}
