// a blind A/B test: two arms at a time in random order, without names, until the votes are revealed

const blind = { trials: [], votes: [], at: 0 };

function shuffled(values) {
  const found = [...values];
  for (let n = found.length - 1; n > 0; n -= 1) {
    const other = Math.floor(Math.random() * (n + 1));
    [found[n], found[other]] = [found[other], found[n]];
  }
  return found;
}

// every pair of arms with every utterance, pairs and sides shuffled
function blindTrials() {
  const trials = data.sounds.flatMap((one, utterance) => {
    const arms = Object.keys(one.outputs).map(Number).filter((arm) => chosen.has(arm));
    return arms.flatMap((a, n) => arms.slice(n + 1).map((b) => ({ utterance, arms: shuffled([a, b]) })));
  });
  return shuffled(trials);
}

function blindButton(name, clip) {
  return el("button", {
    type: "button", class: "letter", "data-letter": name, "aria-pressed": "false",
    onclick: (event) => {
      playClip(clip, byId("blind-matched").checked && clip.arm != null);
      byId("blind").querySelectorAll(".letter").forEach((other) => other.setAttribute("aria-pressed", String(other === event.currentTarget)));
    },
  }, name);
}

function showTrial() {
  const host = byId("blind");
  sound.audio.pause();
  if (blind.at >= blind.trials.length) { reveal(); return; }
  const trial = blind.trials[blind.at];
  const clips = clipsOf(trial.utterance);
  const [target, a, b] = [null, ...trial.arms].map((arm) => clips.find((clip) => clip.arm === arm));
  const vote = (choice, text) => el("button", { type: "button", class: "vote", onclick: () => castVote(choice) }, text);
  const kept = byId("blind-matched") ? byId("blind-matched").checked : true;
  host.replaceChildren(
    el("h3", { tabindex: -1 }, `Trial ${blind.at + 1} of ${blind.trials.length}`),
    el("p", { class: "note" }, "Which is nearer to the target? Sounds go on where the last one was, so that you can switch while they play."),
    el("div", { class: "letters", role: "group", "aria-label": "Listen" }, blindButton("target", target), blindButton("A", a), blindButton("B", b)),
    el("label", { class: "check" }, el("input", { type: "checkbox", id: "blind-matched", checked: kept }), " as loud as the target"),
    el("div", { class: "letters", role: "group", "aria-label": "Vote" }, vote("A", "A is nearer"), vote("B", "B is nearer"), vote("", "I cannot tell")),
    el("p", {}, `${blind.votes.length} ${blind.votes.length === 1 ? "vote" : "votes"} so far. `,
      el("button", { type: "button", id: "reveal", onclick: reveal }, "Stop and reveal")));
  host.querySelector("h3").focus();
}

function castVote(choice) {
  const { utterance, arms } = blind.trials[blind.at];
  blind.votes.push({ utterance: data.sounds[utterance].title, a: armName(arms[0]), b: armName(arms[1]), vote: choice, matched: byId("blind-matched").checked });
  blind.at += 1;
  showTrial();
}

function tallied() {
  const counts = new Map();
  const count = (name, key) => {
    if (!counts.has(name)) counts.set(name, { name, won: 0, lost: 0, tied: 0 });
    counts.get(name)[key] += 1;
  };
  for (const { a, b, vote } of blind.votes) {
    count(a, vote === "A" ? "won" : vote === "B" ? "lost" : "tied");
    count(b, vote === "B" ? "won" : vote === "A" ? "lost" : "tied");
  }
  return [...counts.values()].sort((x, y) => y.won - y.lost - (x.won - x.lost));
}

function exported() {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const columns = ["utterance", "a", "b", "vote", "matched"];
  const text = [columns.join(","), ...blind.votes.map((vote) => columns.map((key) => quoted(vote[key])).join(","))].join("\n");
  const link = el("a", { href: URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" })), download: `${data.name}_votes.csv` });
  link.click();
}

function reveal() {
  sound.audio.pause();
  const host = byId("blind");
  const rows = tallied().map(({ name, won, lost, tied }) => el("tr", {}, el("th", { scope: "row" }, el("span", { class: "arm-name" }, name)),
    [won, lost, tied].map((value) => el("td", {}, String(value)))));
  const told = blind.votes.map(({ utterance, a, b, vote }) => el("li", {}, `${utterance}: A was ${a}, B was ${b}; `,
    vote ? `${vote === "A" ? a : b} was nearer` : "no difference heard"));
  host.replaceChildren(
    el("h3", { tabindex: -1 }, "Votes"),
    blind.votes.length ? el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Votes" }, el("table", { id: "votes" },
      el("thead", {}, el("tr", {}, ["arm", "nearer", "farther", "no difference"].map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows)))
      : el("p", {}, "No vote was cast."),
    blind.votes.length ? el("details", {}, el("summary", {}, "Every vote"), el("ol", {}, told)) : null,
    el("div", { class: "letters" },
      blind.votes.length ? el("button", { type: "button", id: "export", onclick: exported }, "Save as CSV") : null,
      el("button", { type: "button", onclick: startBlind }, "Again"),
      el("button", { type: "button", id: "leave-blind", onclick: leaveBlind }, "Back to the names")));
  host.querySelector("h3").focus();
}

function hideNames(hidden) {
  ["grid", "scale", "player"].forEach((id) => { byId(id).hidden = hidden; });
  byId("blind").hidden = !hidden;
}

function startBlind() {
  sound.audio.pause();
  Object.assign(blind, { trials: blindTrials(), votes: [], at: 0 });
  if (!blind.trials.length) {
    byId("now").textContent = "Put at least two arms that have sounds in colour first (above, at the plane).";
    return;
  }
  hideNames(true);
  showTrial();
}

function leaveBlind() {
  sound.now = null;
  sound.audio.removeAttribute("src");
  byId("now").textContent = "Choose a sound below; another arm goes on where this one was.";
  hideNames(false);
  byId("start-blind").focus();
}
