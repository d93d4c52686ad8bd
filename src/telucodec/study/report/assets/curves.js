// one metric over the training: means over seeds, bands from the lowest to the highest

function elapsed(arm, step, over) {
  const clock = data.clocks[arm];
  if (over === "step") return step;
  if (!clock) return null;
  if (over === "hours") return step * clock.hours_per_step;
  const after = clock.steps.findIndex((known) => known >= step);
  if (after < 0) return clock.seconds[clock.seconds.length - 1];
  if (clock.steps[after] === step || after === 0) return clock.seconds[after];
  const share = (step - clock.steps[after - 1]) / (clock.steps[after] - clock.steps[after - 1]);
  return clock.seconds[after - 1] + share * (clock.seconds[after] - clock.seconds[after - 1]);
}

function gathered(key, over, positive) {
  const found = [];
  for (const [name, { steps, rows }] of Object.entries(data.curves[key])) {
    const arm = Number(name);
    const points = steps.map((step, number) => {
      const values = rows.map((row) => row[number]).filter((value) => value != null && (!positive || value > 0));
      return { step, x: elapsed(arm, step, over), mean: mean(values), low: Math.min(...values), high: Math.max(...values), seeds: values.length };
    }).filter((point) => point.mean != null && point.x != null);
    if (points.length) found.push({ arm, points });
  }
  return found;
}

function curveLimits(found, positive) {
  const shown = found.filter(({ arm }) => chosen.has(arm));
  const points = (shown.length ? shown : found).flatMap(({ points }) => points);
  let low = Infinity, high = -Infinity, until = 0;
  points.forEach((point) => { low = Math.min(low, point.low); high = Math.max(high, point.high); until = Math.max(until, point.x); });
  if (!points.length) return { x: [0, 1], y: positive ? [0.1, 1] : [0, 1] };
  if (positive) return { x: [0, until || 1], y: [low / 1.15, high * 1.15] };
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  return { x: [0, until || 1], y: [low - room, high + room] };
}

function drawCurve({ inner, x, y }, { arm, points }) {
  const { colour, dash, chosen: on } = look(arm);
  if (on && points.some((point) => point.seeds > 1)) {
    const above = points.map((point) => [point.x, point.high]), below = points.map((point) => [point.x, point.low]).reverse();
    inner.append(draw("path", { d: `${line([...above, ...below], x, y)}Z`, class: "band", style: `fill:${colour}` }));
  }
  inner.append(draw("path", {
    d: line(points.map((point) => [point.x, point.mean]), x, y), class: on ? "way" : "way faint",
    style: `stroke:${colour}`, "stroke-dasharray": dash,
  }));
  if (points.length === 1) inner.append(draw("circle", { cx: x(points[0].x), cy: y(points[0].mean), r: 4, style: `fill:${colour}` }));
}

const nearest = (points, at) => points.reduce((best, point) => (Math.abs(point.x - at) < Math.abs(best.x - at) ? point : best));

function readout(found, key, at, over) {
  const rows = found.filter(({ arm }) => chosen.has(arm)).map(({ arm, points }) => ({ arm, point: nearest(points, at) }));
  rows.sort((a, b) => b.point.mean - a.point.mean);
  const place = over === "step" ? `step ${Math.round(at)}` : over === "seconds" ? span(at) : `${written(at, 2)} h of audio`;
  const told = rows.map(({ arm, point }) => el("li", {}, swatch(arm), el("span", {}, armName(arm)), el("b", {}, measured(key, point.mean)),
    el("small", {}, point.seeds > 1 ? `${measured(key, point.low)} to ${measured(key, point.high)}, ${point.seeds} seeds` : "one seed")));
  byId("curve-values").replaceChildren(el("p", {}, `${titled(key)} at ${place}`), el("ul", {}, told));
}

function startCurves() {
  const host = byId("curve-plot");
  if (!host) return;
  const [metric, over, log, at] = ["curve-metric", "curve-over", "curve-log", "curve-at"].map(byId);
  options(metric, Object.keys(data.curves).map((key) => [key, titled(key)]), data.primary);
  const titles = { step: "steps", seconds: "seconds of training", hours: "hours of audio heard" };
  let place = null, found = [], limits = null, cursor = null;
  const point = () => {
    if (!place) return;
    const value = limits.x[0] + (Number(at.value) / 1000) * (limits.x[1] - limits.x[0]);
    cursor.setAttribute("x1", place.x(value));
    cursor.setAttribute("x2", place.x(value));
    readout(found, metric.value, value, over.value);
  };
  const render = (width) => {
    found = gathered(metric.value, over.value, log.checked);
    limits = curveLimits(found, log.checked);
    const height = Math.max(260, Math.min(420, width * 0.5));
    place = frame(host, width, height, { limits: limits.x, title: titles[over.value] },
      { limits: limits.y, log: log.checked, title: titled(metric.value) }, `${titled(metric.value)} over ${titles[over.value]}`);
    const behind = found.filter(({ arm }) => !chosen.has(arm)), before = found.filter(({ arm }) => chosen.has(arm));
    [...behind, ...before].forEach((one) => drawCurve(place, one));
    cursor = draw("line", { y1: 10, y2: height - 42, class: "cursor" });
    place.svg.append(cursor);
    place.svg.addEventListener("pointermove", (event) => {
      const share = (place.back(event.clientX - place.svg.getBoundingClientRect().left) - limits.x[0]) / (limits.x[1] - limits.x[0]);
      at.value = Math.round(Math.min(1, Math.max(0, share)) * 1000);
      point();
    });
    point();
    host.dataset.drawn = "yes";
  };
  const again = redrawn(host, render);
  listeners.push(again);
  [metric, over, log].forEach((control) => control.addEventListener("change", again));
  at.addEventListener("input", point);
}
