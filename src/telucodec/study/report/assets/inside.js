// shares of the gradients as stacked bars, and codebook use as a table of shades

const armsOf = (values) => Object.keys(values).map(Number);

function shareRow(arm, terms, shares) {
  const told = terms.map((term, number) => `${term} ${written(100 * shares[number], 0)} %`);
  const parts = terms.map((term, number) => shares[number] > 0 && el("span", {
    class: "part", style: `width:${100 * shares[number]}%;background:var(--term-${number % 8})`, "data-rest": Math.floor(number / 8),
  }, shares[number] > 0.13 ? term : "")).filter(Boolean);
  const bar = el("div", { class: "bar-parts", role: "img", "aria-label": told.join(", ") }, parts);
  return el("li", {}, el("span", { class: "name" }, armName(arm)), withTip(bar, () => [armName(arm), ...told]));
}

function startGradients() {
  const host = byId("gradients");
  if (!host) return;
  const site = byId("gradient-site");
  options(site, Object.entries(data.gradients).map(([key, { label }]) => [key, label]), Object.keys(data.gradients)[0]);
  const render = () => {
    const { terms, arms } = data.gradients[site.value];
    const wanted = armsOf(arms).filter((arm) => chosen.has(arm));
    const legend = terms.map((term, number) => el("li", {}, el("i", { style: `background:var(--term-${number % 8})` }), term));
    host.replaceChildren(el("ul", { class: "legend" }, legend),
      el("ul", { class: "shares" }, wanted.map((arm) => shareRow(arm, terms, arms[arm]))),
      el("p", { class: "note" }, wanted.length ? "" : "None of the arms in colour has them."));
  };
  site.addEventListener("change", render);
  listeners.push(render);
  render();
}

function startCodebook() {
  const host = byId("codebook");
  if (!host) return;
  const what = byId("codebook-what");
  options(what, Object.keys(data.codebook).map((key) => [key, key === "usage" ? "usage, share of the codewords" : "perplexity"]), "usage");
  const render = () => {
    const use = data.codebook[what.value];
    const wanted = armsOf(use).filter((arm) => chosen.has(arm));
    const layers = Math.max(0, ...wanted.map((arm) => use[arm].length));
    const highest = what.value === "usage" ? 1 : Math.max(1, ...wanted.flatMap((arm) => use[arm]).filter((value) => value != null));
    const cell = (value) => {
      if (value == null) return el("td", {}, el("span", { class: "none" }, "\u2013"));
      const share = Math.min(1, value / highest);
      return el("td", { class: share > 0.55 ? "shade deep" : "shade", style: `--share:${(100 * share).toFixed(0)}%` },
        what.value === "usage" ? `${written(100 * value, value < 0.0995 ? 1 : 0)}\u2009%` : written(value, value < 10 ? 1 : 0));
    };
    const head = el("tr", {}, el("th", { scope: "col" }, "arm"), Array.from({ length: layers }, (_, layer) => el("th", { scope: "col" }, `layer ${layer + 1}`)));
    const rows = wanted.map((arm) => el("tr", {}, el("th", { scope: "row" }, el("span", { class: "arm-name" }, armName(arm))),
      Array.from({ length: layers }, (_, layer) => cell(use[arm][layer]))));
    host.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Use of the codebooks" },
      el("table", { class: "shades" }, el("thead", {}, head), el("tbody", {}, rows))));
  };
  what.addEventListener("change", render);
  listeners.push(render);
  render();
}
