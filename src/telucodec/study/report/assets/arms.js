// which arms are in colour: one choice for all pictures

const HUES = 7;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const chosen = new Map(); // number of the arm -> its slot, which is its colour and line
const listeners = [];

function take(arm) {
  if (chosen.has(arm)) return;
  const taken = new Set(chosen.values());
  let slot = 0;
  while (taken.has(slot)) slot += 1;
  chosen.set(arm, slot);
}
data.chosen.forEach(take);

const look = (arm) => {
  const slot = chosen.get(arm);
  if (slot == null) return { colour: "var(--faint)", dash: "", chosen: false };
  return { colour: `var(--hue-${slot % HUES})`, dash: DASHES[Math.floor(slot / HUES) % DASHES.length], chosen: true };
};
const armName = (arm) => data.arms[arm].name;

function swatch(arm) {
  const { colour, dash } = look(arm);
  return draw("svg", { class: "swatch", width: 24, height: 8, "aria-hidden": "true" },
    draw("line", { x1: 1, x2: 23, y1: 4, y2: 4, style: `stroke:${colour}`, "stroke-dasharray": dash, "stroke-width": 3 }));
}

function changeChoice(change) {
  change();
  listeners.forEach((listener) => listener());
}

function chip(arm) {
  const on = chosen.has(arm);
  return el("button", {
    type: "button", class: "chip", "aria-pressed": String(on), "data-arm": arm,
    onclick: () => changeChoice(() => (chosen.has(arm) ? chosen.delete(arm) : take(arm))),
  }, on ? swatch(arm) : null, armName(arm));
}

function startChoosers() {
  const hosts = [...document.querySelectorAll("[data-chooser]")];
  const all = data.arms.map((_, arm) => arm);
  const wide = data.arms.length > 12;
  const build = () => hosts.forEach((host) => {
    const at = host.contains(document.activeElement) ? document.activeElement.dataset.arm : null;
    const open = host.querySelector("details")?.open;
    const chips = wide ? all.filter((arm) => chosen.has(arm)) : all;
    const parts = [el("div", { class: "chips", role: "group", "aria-label": "Arms in colour" }, chips.map(chip))];
    if (wide) {
      const quick = (text, arms) => el("button", {
        type: "button", onclick: () => changeChoice(() => { chosen.clear(); arms.forEach(take); }),
      }, text);
      parts.push(el("details", { open: open === true },
        el("summary", {}, `Choose among ${all.length} arms`),
        el("div", { class: "quick" }, quick("best and worst", data.chosen), quick("all", all), quick("none", [])),
        el("div", { class: "chips" }, all.filter((arm) => !chosen.has(arm)).map(chip))));
    }
    host.replaceChildren(...parts);
    if (at != null) host.querySelector(`[data-arm="${at}"]`)?.focus();
  });
  listeners.push(build);
  build();
}
