// a grid of sounds: arms down, utterances across; one player, which goes on at the same place when the arm changes

const sound = { audio: byId("audio"), urls: new Map(), context: null, gain: null, now: null };

function blobOf(id) {
  if (!sound.urls.has(id)) {
    const bytes = Uint8Array.from(atob(byId(`sound-${id}`).textContent), (letter) => letter.charCodeAt(0));
    sound.urls.set(id, URL.createObjectURL(new Blob([bytes], { type: "audio/flac" })));
  }
  return sound.urls.get(id);
}

// a player's own volume cannot go above 1: louder needs a gain behind it
function setGain(decibels) {
  if (!sound.context) {
    sound.context = new AudioContext();
    sound.gain = sound.context.createGain();
    sound.context.createMediaElementSource(sound.audio).connect(sound.gain).connect(sound.context.destination);
  }
  sound.context.resume();
  sound.gain.gain.value = 10 ** (decibels / 20);
}

// clip: {id, gain, utterance}; place: where to begin in s, or null for where the last one was
function playClip(clip, matched) {
  const { audio } = sound;
  const same = sound.now && sound.now.utterance === clip.utterance;
  const at = same && !audio.ended ? audio.currentTime : 0;
  setGain(matched ? clip.gain : 0);
  if (!sound.now || sound.now.id !== clip.id) {
    audio.src = blobOf(clip.id);
    audio.currentTime = at;
  }
  sound.now = clip;
  return audio.play();
}

function clipsOf(utterance) {
  const one = data.sounds[utterance];
  const target = { id: one.target, gain: 0, utterance, arm: null, name: "target", seed: null, limited: false };
  return [target, ...Object.entries(one.outputs).map(([arm, output]) => ({ ...output, utterance, arm: Number(arm), name: armName(arm) }))];
}

function tell(clip) {
  const matched = byId("matched").checked && clip.arm != null;
  const level = matched ? `, ${written(clip.gain, 1, true)} dB${clip.limited ? " (full scale allows no more)" : ""}` : "";
  byId("now").replaceChildren(el("b", {}, clip.name), ` ${data.sounds[clip.utterance].title}${level}`);
  document.querySelectorAll(".clip").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.clip === clip.id)));
}

function press(clip) {
  if (sound.now && sound.now.id === clip.id && !sound.audio.paused) { sound.audio.pause(); return; }
  playClip(clip, byId("matched").checked && clip.arm != null);
  tell(clip);
}

function clipButton(clip) {
  const picture = el("span", { class: "picture", "data-picture": clip.id });
  const notes = [clip.clipped ? `${clip.clipped} cut` : "", clip.seed != null && clip.seed !== data.sounds[0].outputs[firstHeard()].seed ? `seed ${clip.seed}` : ""];
  return el("button", {
    type: "button", class: "clip", "data-clip": clip.id, "aria-pressed": "false",
    "aria-label": `${clip.name}, ${data.sounds[clip.utterance].title}`, onclick: () => press(clip),
  }, picture, el("span", { class: "symbol", "aria-hidden": "true" }), notes.some(Boolean) ? el("small", {}, notes.filter(Boolean).join(", ")) : null);
}
const firstHeard = () => Object.keys(data.sounds[0].outputs)[0];

function buildGrid() {
  const clips = data.sounds.map((_, utterance) => clipsOf(utterance));
  const arms = [null, ...new Set(clips.flat().map((clip) => clip.arm).filter((arm) => arm != null))];
  const head = el("tr", {}, el("th", { scope: "col" }, "arm"),
    data.sounds.map((one) => el("th", { scope: "col" }, one.title, el("small", {}, `${one.seconds.toFixed(1)} s`))));
  const rows = arms.map((arm) => el("tr", { class: arm == null ? "base" : "" },
    el("th", { scope: "row" }, el("span", { class: "arm-name" }, arm == null ? "target" : armName(arm))),
    clips.map((each) => {
      const clip = each.find((one) => one.arm === arm);
      return el("td", {}, clip ? clipButton(clip) : el("span", { class: "none" }, "\u2013"));
    })));
  byId("grid").replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Sounds: arms and utterances" },
    el("table", { class: "clips" }, el("thead", {}, head), el("tbody", {}, rows))));
  byId("scale").hidden = false;
}

// pictures are unpacked when they come into view, so that the page opens at once
function showPictures() {
  const show = (span) => {
    const source = byId(`picture-${span.dataset.picture}`);
    if (source && !span.firstChild) span.append(el("img", { src: `data:image/png;base64,${source.textContent}`, alt: "" }));
  };
  const spans = [...document.querySelectorAll("[data-picture]")];
  const watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { show(entry.target); watch.unobserve(entry.target); }
  }), { rootMargin: "400px" });
  spans.forEach((span) => watch.observe(span));
  addEventListener("beforeprint", () => spans.forEach(show));
}

function startListening() {
  if (!sound.audio) return;
  byId("matched").checked = data.matched;
  byId("matched").addEventListener("change", () => {
    if (!sound.now) return;
    setGain(byId("matched").checked ? sound.now.gain : 0);
    tell(sound.now);
  });
  const mark = () => document.body.classList.toggle("playing", !sound.audio.paused);
  ["play", "pause", "ended"].forEach((name) => sound.audio.addEventListener(name, mark));
  sound.audio.addEventListener("play", () => sound.context?.resume());
  buildGrid();
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", showPictures);
  else showPictures();
}
