// The page: texts and options, the state that they make, and a panel for each chosen model.

import { html, languageName, languageTag } from "./elements.js";
import { Panel } from "./panel.js";
import { closePopup } from "./popup.js";
import { ask } from "./server.js";
import { beamSize, fromFragment, lengthPenalty, toFragment } from "./state.js";
import { offered, WeightsControl } from "./weights.js";

const PAUSE = 180;
/** Milliseconds without a key after which a text is translated. */
const NUMBERS = ["beam", "penalty", "weights-number"];

const byId = (id) => document.getElementById(id);
const radios = (name) => [...document.querySelectorAll(`input[name=${name}]`)];

const EXAMPLES = {
  de: [
    "Die Frau kauft dem Kind einen Apfel.",
    "Gestern setzte unser Sohn einen Hut auf.",
    "Wird ein fleißiger Mann mit Greta sprechen?",
  ],
};

class Page {
  constructor({ models, limits }) {
    this.models = models;
    this.limits = limits;
    const actions = {
      force: (name, prefix) => this.force(name, prefix),
      changeRows: (name, rows) => this.changeRows(name, rows),
      toggleTree: (open) => open !== this.state.tree && this.update({ tree: open }),
      announce: (name, text) => this.announce(name, text),
      follow: (panel, active) => this.follow(panel, active),
    };
    this.panels = new Map(models.map((model) => [model.name, new Panel(model, actions)]));
    this.announcements = new Map();
    this.buildModels();
    this.weights = new WeightsControl(byId("weights-options"), (intervention) =>
      this.update({ ...this.entered(), intervention }),
    );
    this.listen();
    this.restore();
  }

  buildModels() {
    const [first] = this.models;
    byId("source-label").textContent = languageName(first.source);
    byId("own-label").textContent = `Your translation into ${languageName(first.target)}`;
    const examples = EXAMPLES[first.source] ?? [];
    const invitation = languageTag(first.source)
      ? `Type a sentence in ${languageName(first.source)}`
      : "Type a sentence";
    byId("invitation").append(
      examples.length ? `${invitation}, or try one of these: ` : `${invitation}.`,
      ...examples.map((text) =>
        html("button", { type: "button", class: "quiet", click: () => this.useExample(text) }, text),
      ),
    );
    byId("source").lang = languageTag(first.source) ?? "";
    byId("own").lang = languageTag(first.target) ?? "";
    byId("beam").max = this.limits.beam_size;
    byId("models").hidden = this.models.length < 2;
    byId("models").append(
      ...this.models.map(({ name }) =>
        html("label", {}, html("input", { type: "checkbox", name: "model", value: name }), html("span", {}, name)),
      ),
    );
  }

  listen() {
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["source", "own", ...NUMBERS]) {
      byId(name).addEventListener("input", () => {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.update(this.entered()), PAUSE);
      });
    }
    for (const name of NUMBERS) byId(name).addEventListener("blur", () => this.update(this.entered()));
    byId("models").addEventListener("change", () => this.chooseModels());
    for (const name of ["mode", "unit"]) {
      for (const radio of radios(name)) radio.addEventListener("change", () => this.choose(name, radio.value));
    }
    byId("link").addEventListener("click", () => this.copyLink());
    window.addEventListener("hashchange", () => this.restore());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.update({}));
  }

  /** Puts the state of the address into the controls and the panels. */
  restore() {
    this.state = fromFragment(location.hash, this.models, this.limits);
    byId("source").value = this.state.source;
    byId("own").value = this.state.own;
    this.update({});
  }

  update(changes) {
    Object.assign(this.state, changes);
    const { beam, mode, models, penalty, unit } = this.state;
    const first = this.firstModel();
    for (const radio of radios("mode")) radio.checked = radio.value === mode;
    for (const radio of radios("unit")) radio.checked = radio.value === unit;
    for (const box of radios("model")) box.checked = models.includes(box.value);
    if (document.activeElement !== byId("beam")) byId("beam").value = beam ?? first.beam_size;
    if (document.activeElement !== byId("penalty")) byId("penalty").value = penalty ?? first.length_penalty;
    byId("own-part").hidden = mode !== "own";
    byId("invitation").hidden = this.state.source.trim() !== "";
    byId("panels").hidden = !byId("invitation").hidden;
    const chosen = this.models.filter(({ name }) => models.includes(name));
    this.state.intervention = offered(this.state.intervention, chosen);
    this.weights.show(this.state.intervention, chosen);
    const panels = models.map((name) => this.panels.get(name));
    const shown = [...byId("panels").children];
    if (panels.length !== shown.length || panels.some(({ element }, index) => element !== shown[index])) {
      for (const panel of this.panels.values()) panel.stop();
      byId("panels").replaceChildren(...panels.map(({ element }) => element));
    }
    for (const panel of panels) panel.update(this.state);
    this.checkNumbers();
    const fragment = toFragment(this.state, this.models);
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  }

  /** A translation of one's own begins with the model's: changing one word is the quickest experiment. */
  choose(name, value) {
    const answer = this.panels.get(this.state.models[0]).answer;
    if (value === "own" && !byId("own").value.trim() && answer) byId("own").value = answer.text;
    this.update({ [name]: value, ...this.entered() });
  }

  useExample(text) {
    byId("source").value = text;
    this.update(this.entered());
    byId("source").focus();
  }

  /** What stands in the fields, some of it perhaps since a moment ago. */
  entered() {
    clearTimeout(this.timer);
    const source = byId("source").value;
    const changed = source === this.state.source ? {} : { source, prefixes: new Map(), hands: new Map() };
    const beam = this.number("beam", this.state.beam ?? this.firstModel().beam_size, beamSize);
    const penalty = this.number("penalty", this.state.penalty ?? this.firstModel().length_penalty, lengthPenalty);
    return { own: byId("own").value, ...changed, ...beam, ...penalty, ...this.weights.entered() };
  }

  /** The change of a number. An empty field means as trained; a number that is not possible changes nothing. */
  number(name, shown, read) {
    const { value } = byId(name);
    if (value === String(shown)) return {};
    if (value === "") return { [name]: null };
    const number = read(value, this.limits);
    return number === null ? {} : { [name]: number };
  }

  /** Says which numbers a field takes where it holds another. */
  checkNumbers() {
    const ranges = {
      beam: `Beam size: a whole number from 1 to ${this.limits.beam_size}.`,
      penalty: "Length penalty: a number from 0 to 10.",
    };
    const wrong = NUMBERS.filter((name) => !byId(name).checkValidity());
    byId("numbers").textContent = wrong.map((name) => ranges[name] ?? this.weights.rangeSentence()).join(" ");
    byId("numbers").hidden = !wrong.length;
  }

  firstModel() {
    return this.models.find(({ name }) => name === this.state.models[0]);
  }

  /** At least one model stays chosen. */
  chooseModels() {
    const models = radios("model")
      .filter((box) => box.checked)
      .map((box) => box.value);
    this.update({ models: models.length ? models : this.state.models, ...this.entered() });
  }

  force(name, prefix) {
    const prefixes = new Map(this.state.prefixes);
    if (prefix === null) prefixes.delete(name);
    else prefixes.set(name, prefix);
    this.update({ prefixes, mode: "search" });
  }

  changeRows(name, rows) {
    const hands = new Map(this.state.hands);
    if (rows.size) hands.set(name, rows);
    else hands.delete(name);
    this.update({ hands });
  }

  /** Lights the words of one panel in the others, on each side where these have the same words. */
  follow(panel, active) {
    for (const name of this.state.models) {
      const { pictures } = this.panels.get(name);
      if (pictures === panel.pictures) continue;
      const here = (side) => (panel.pictures.has(side, pictures.view?.[side]) ? active[side] : null);
      pictures.light({ source: here("source"), target: here("target") });
    }
  }

  announce(name, text) {
    this.announcements.set(name, text);
    const texts = this.state.models
      .filter((model) => this.announcements.has(model))
      .map((model) => [model, this.announcements.get(model)]);
    byId("status").textContent = texts
      .map(([model, words]) => (texts.length > 1 ? `${model}: ${words}` : words))
      .join(" ");
  }

  async copyLink() {
    closePopup();
    let said = "Link copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      said = "Copy the address above";
    }
    byId("link").textContent = said;
    byId("status").textContent = said;
    setTimeout(() => (byId("link").textContent = "Copy link"), 2500);
  }
}

async function start() {
  const problem = byId("problem");
  try {
    const service = await ask("models");
    problem.hidden = true;
    problem.textContent = "";
    return new Page(service);
  } catch (error) {
    const seconds = error.retryAfter ?? null;
    problem.hidden = false;
    problem.textContent = error.message + (seconds === null ? "" : ` Next try in ${seconds} s.`);
    if (seconds !== null) setTimeout(start, seconds * 1000);
    return null;
  }
}

start();
