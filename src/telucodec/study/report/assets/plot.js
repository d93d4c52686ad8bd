// a frame with two axes

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) found.push(n * step);
  return found;
}
const tickDigits = (marks) => {
  const step = marks.length > 1 ? Math.abs(marks[1] - marks[0]) : Math.abs(marks[0]) || 1;
  return Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
};

function logTicks(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power += 1) found.push(10 ** power);
  return found.length > 1 ? found : [low, high];
}

const short = (value) =>
  Math.abs(value) >= 1e4 ? `${+(value / 1000).toPrecision(4)}k` : String(+value.toPrecision(4)).replace("-", "\u2212");

// {svg, inner, x, y, back}: inner is clipped to the frame; back turns a pixel into a value of x
function frame(host, width, height, xs, ys, label) {
  const left = 46, right = 12, top = 10, bottom = 42;
  const inWidth = width - left - right, inHeight = height - top - bottom;
  const place = (axis, size) => {
    const to = axis.log ? Math.log10 : (value) => value;
    const [low, high] = axis.limits.map(to);
    return (value) => ((to(value) - low) / (high - low || 1)) * size;
  };
  const px = place(xs, inWidth), py = place(ys, inHeight);
  const x = (value) => left + px(value);
  const y = (value) => top + inHeight - py(value);
  const clip = `clip-${host.id}`;
  const inner = draw("g", { "clip-path": `url(#${clip})` });
  const parts = [
    draw("defs", {}, draw("clipPath", { id: clip }, draw("rect", { x: left, y: top, width: inWidth, height: inHeight }))),
  ];
  const yMarks = ys.log ? logTicks(...ys.limits) : ticks(...ys.limits, Math.floor(inHeight / 52));
  const xMarks = ticks(...xs.limits, Math.floor(inWidth / 74));
  yMarks.forEach((value) => parts.push(
    draw("line", { x1: left, x2: left + inWidth, y1: y(value), y2: y(value), class: "rule" }),
    draw("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, short(value))));
  xMarks.forEach((value) => parts.push(
    draw("line", { x1: x(value), x2: x(value), y1: top + inHeight, y2: top + inHeight + 5, class: "tick" }),
    draw("text", { x: x(value), y: top + inHeight + 18, "text-anchor": "middle" }, short(value))));
  parts.push(
    draw("line", { x1: left, x2: left + inWidth, y1: top + inHeight, y2: top + inHeight, class: "tick" }),
    inner,
    draw("text", { x: left + inWidth / 2, y: height - 6, "text-anchor": "middle", class: "title" }, xs.title));
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, parts);
  host.replaceChildren(el("p", { class: "y-title" }, ys.title), svg);
  const back = (pixel) => xs.limits[0] + ((pixel - left) / inWidth) * (xs.limits[1] - xs.limits[0]);
  return { svg, inner, x, y, back };
}

const line = (points, x, y) =>
  points.map(([a, b], number) => `${number ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
