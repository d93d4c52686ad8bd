// RMS ratio against correlation, with every run's path

function planeWidest(paths) {
  const ends = paths.map(({ points }) => 1.1 * points[points.length - 1][1]);
  return Math.min(2.2, Math.max(1.34, ...ends)); // a run that blew up must not squeeze the others
}

function planeBackground({ inner, x, y }, widest, narrow) {
  const rho = (snr, r) => (1 + r * r - 10 ** (-snr / 10)) / (2 * r);
  inner.append(draw("rect", { x: x(0), y: y(1.16), width: x(widest) - x(0), height: y(1) - y(1.16), class: "impossible" }),
    draw("text", { x: x(0.985 * widest), y: y(1.08) + 4, class: "impossible-text", "text-anchor": "end" }, narrow ? "impossible" : "no two signals have these figures"));
  let free = Infinity; // left end of the label before: lines of lower SNR come first, and end farther to the right
  for (const snr of data.plane.lines) {
    const points = [];
    for (let r = 0.01; r <= widest; r += 0.01) {
      if (rho(snr, r) <= 1 && rho(snr, r) >= -0.3) points.push([r, rho(snr, r)]);
    }
    if (points.length < 2) continue;
    inner.append(draw("path", { d: line(points, x, y), class: "iso" }));
    const [r, value] = points[points.length - 1];
    const edge = r > widest * 0.97;
    if (!edge && x(r) > free - 38) continue;
    free = edge ? free : x(r);
    inner.append(draw("text", {
      x: x(edge ? widest * 0.985 : r), y: y(value) + (edge ? -3 : 13), "text-anchor": "end", class: "iso-text",
    }, `${written(snr, 0)} dB`));
  }
  inner.append(draw("path", { d: line([[0, 0], [1, 1]], x, y), class: "best" }),
    draw("path", { d: line([[1, -0.3], [1, 1]], x, y), class: "unit" }));
}

function planeDocuments({ inner, x, y }) {
  for (const [name, r, rho, snr, wasMeasured] of data.plane.documents) {
    const at = [x(r), y(rho)];
    const mark = wasMeasured
      ? draw("rect", { x: at[0] - 4, y: at[1] - 4, width: 8, height: 8, class: "document" })
      : draw("path", { d: `M${at[0] - 4} ${at[1] - 4}l8 8m0 -8l-8 8`, class: "document open" });
    const told = wasMeasured ? `${name}: ${written(snr, 2, true)} dB` : `${written(snr, 0, true)} dB`;
    inner.append(withTip(mark, () => [`${name}, ${wasMeasured ? "reported" : "predicted"}`, `RMS ratio ${r}, SNR ${snr} dB: rho ${written(rho)}`]),
      draw("text", { x: at[0] + 7, y: at[1] + (rho > 1 ? -4 : 13), class: "document-text" }, told));
  }
}

function planePath({ inner, x, y }, { arm, seed, points }, share) {
  const { colour, dash, chosen: on } = look(arm);
  const until = points[points.length - 1][0] * share;
  const shown = points.filter(([step]) => step <= until + 1e-9);
  const way = (shown.length ? shown : points.slice(0, 1)).map(([, r, rho]) => [r, rho]);
  const end = way[way.length - 1];
  inner.append(draw("path", { d: line(way, x, y), class: on ? "way" : "way faint", style: `stroke:${colour}`, "stroke-dasharray": dash }));
  const step = (shown[shown.length - 1] || points[0])[0];
  const dot = draw("circle", {
    cx: x(end[0]), cy: y(end[1]), r: on ? 5 : 2.5, class: "dot", style: `fill:${colour}`,
    tabindex: on ? 0 : null, role: on ? "img" : null,
    "aria-label": on ? `${armName(arm)}, seed ${seed}: RMS ratio ${written(end[0])}, rho ${written(end[1])}` : null,
  });
  inner.append(withTip(dot, () => [armName(arm), `seed ${seed}, step ${step}`, `RMS ratio ${written(end[0])}, rho ${written(end[1])}`]));
}

function startPlane() {
  const host = byId("plane-plot");
  if (!host) return;
  const time = byId("plane-time");
  const paths = data.plane.paths;
  const widest = planeWidest(paths);
  const render = (width) => {
    const height = Math.max(330, Math.min(560, width * 0.66));
    const place = frame(host, width, height,
      { limits: [0, widest], title: "RMS ratio r: how loud the output is" }, { limits: [-0.2, 1.16], title: "correlation rho: how much of the waveform is there" },
      "Plane of RMS ratio and correlation; the table of arms has the figures");
    planeBackground(place, widest, width < 480);
    planeDocuments(place);
    const share = Number(time.value) / 100;
    const behind = paths.filter(({ arm }) => !chosen.has(arm)), before = paths.filter(({ arm }) => chosen.has(arm));
    [...behind, ...before].forEach((path) => planePath(place, path, share));
    byId("plane-told").textContent = share === 1 ? "to the end" : `the first ${time.value} %`;
    const beyond = paths.filter(({ points }) => points[points.length - 1][1] > widest).length;
    if (beyond) {
      place.inner.append(draw("text", { x: place.x(widest) - 6, y: place.y(-0.16), "text-anchor": "end" },
        `${beyond} ${beyond === 1 ? "run ends" : "runs end"} farther to the right \u2192`));
    }
    host.dataset.drawn = "yes";
  };
  const again = redrawn(host, render);
  listeners.push(again);
  time.addEventListener("input", again);
  byId("plane-replay").addEventListener("click", () => {
    if (calm.matches) { time.value = time.value === "100" ? 0 : 100; again(); return; }
    const began = performance.now();
    const tick = (now) => {
      time.value = Math.min(100, ((now - began) / 3500) * 100);
      again();
      if (time.value < 100) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
}
