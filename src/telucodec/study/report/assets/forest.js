// paired differences: one row an arm, its interval and its seeds on a common axis

function forestLimits(rows) {
  const ends = rows.flatMap((row) => [row.low, row.high, row.mean, ...row.each]).filter((value) => value != null);
  const sorted = [0, ...ends].sort((a, b) => a - b);
  // an interval of two seeds can be a hundred times the others: the axis is the inner nine tenths, arrows tell of the rest
  const means = rows.map((row) => row.mean).filter((value) => value != null);
  const cut = sorted.length > 20 ? Math.floor(sorted.length * 0.05) : 0;
  const low = Math.min(0, ...means, sorted[cut]);
  const high = Math.max(0, ...means, sorted[sorted.length - 1 - cut]);
  const room = (high - low || 1) * 0.06;
  return [low - room, high + room];
}

function forestStrip(row, limits, width, kind) {
  const [low, high] = limits;
  const x = (value) => ((value - low) / (high - low)) * width;
  const inside = (value) => Math.min(width - 1, Math.max(1, x(value)));
  const parts = [draw("line", { x1: x(0), x2: x(0), y1: 0, y2: 28, class: "zero" })];
  if (row.low != null && row.high != null) {
    parts.push(draw("line", { x1: inside(row.low), x2: inside(row.high), y1: 14, y2: 14, class: "interval" }));
    [[row.low, -1], [row.high, 1]].forEach(([value, side]) => {
      const at = inside(value);
      const beyond = x(value) < 0 || x(value) > width;
      parts.push(draw("path", { d: beyond ? `M${at - 6 * side} 8l${6 * side} 6l${-6 * side} 6` : `M${at} 9v10`, class: "end" }));
    });
  }
  row.each.forEach((value) => {
    if (value != null && x(value) >= 0 && x(value) <= width) {
      parts.push(draw("circle", { cx: x(value), cy: 23.5, r: 2.3, class: "seed" }));
    }
  });
  if (row.mean != null) {
    const at = x(row.mean);
    parts.push(draw("path", { d: `M${at - 6} 14L${at} 8L${at + 6} 14L${at} 20Z`, class: "mean" }));
  }
  return draw("svg", { width, height: 28, class: kind, "aria-hidden": "true" }, parts);
}

function forestKind(row, key) {
  if (!row.clear) return "alike";
  if (key !== data.primary) return "shifted";
  return row.mean > 0 === data.higher ? "better" : "worse";
}

function forestAxis(limits, width, key) {
  const marks = ticks(limits[0], limits[1], Math.max(2, Math.floor(width / 80)));
  const x = (value) => ((value - limits[0]) / (limits[1] - limits[0])) * width;
  return draw("svg", { width, height: 24, class: "axis", "aria-hidden": "true" }, marks.map((value) => [
    draw("line", { x1: x(value), x2: x(value), y1: 0, y2: 5 }),
    draw("text", { x: x(value), y: 18, "text-anchor": x(value) < 14 ? "start" : x(value) > width - 14 ? "end" : "middle" },
      written(value, tickDigits(marks), true)),
  ]));
}

function forestRow(row, limits, width, key) {
  const kind = forestKind(row, key);
  const bounds = row.mean == null ? "no seed has both" : row.low == null ? "one seed: no interval" : `[${measured(key, row.low, true)}, ${measured(key, row.high, true)}]`;
  const p = row.p_holm == null ? "" : row.p_holm < 0.001 ? "p < .001" : `p ${row.p_holm.toFixed(3).replace(/^0/, "")}`;
  const item = el("li", { class: `arm ${kind}` },
    el("span", { class: "name" }, armName(row.arm), el("small", {}, ` against ${row.reference}`)),
    forestStrip(row, limits, width, kind),
    el("span", { class: "told" }, el("b", {}, measured(key, row.mean, true)), el("small", {}, ` ${bounds} ${p}`)));
  return withTip(item, () => [
    `${armName(row.arm)} \u2212 ${row.reference}`,
    `${titled(key)}: ${measured(key, row.mean, true)} ${bounds}`,
    `${row.seeds} seeds, ${row.agreeing} of them with this sign; ${row.utterances} utterances`,
    row.effect == null ? "" : `effect size ${written(row.effect, 2, true)}; p ${written(row.p, 3)}, corrected ${written(row.p_holm, 3)}`,
    row.detectable == null ? "" : `a shift of ${measured(key, row.detectable)} would have shown in 4 of 5 studies`,
  ].filter(Boolean));
}

function startForest() {
  const host = byId("forest");
  if (!host) return;
  const metric = byId("forest-metric");
  const order = byId("forest-order");
  options(metric, Object.keys(data.forest).map((key) => [key, titled(key)]), data.primary);
  const render = (room) => {
    const key = metric.value;
    const rows = [...data.forest[key]];
    const lower = key === data.primary && !data.higher ? -1 : 1;
    if (order.value === "effect") rows.sort((a, b) => compareValues(a.mean, b.mean, -lower));
    const narrow = room < 620;
    const width = Math.max(120, Math.floor(narrow ? room : room - 440));
    const limits = forestLimits(rows);
    host.className = narrow ? "forest narrow" : "forest";
    host.replaceChildren(
      el("ul", { "aria-label": `Differences in ${titled(key)}` }, rows.map((row) => forestRow(row, limits, width, key))),
      el("div", { class: "axis-row" }, el("span", {}), forestAxis(limits, width, key), el("span", {}, titled(key))));
  };
  const again = redrawn(host, render);
  [metric, order].forEach((select) => select.addEventListener("change", again));
}
