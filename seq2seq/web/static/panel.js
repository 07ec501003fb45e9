// The panel of one model: asks the server, shows the answer, the failure, or what is missing.

import { BeamTree } from "./beam.js";
import { heatMapDrawing, ribbonsDrawing, saveJson, savePng, saveSvg } from "./download.js";
import { Changes, handSentence } from "./changes.js";
import { html } from "./elements.js";
import { openCellMenu } from "./hand.js";
import { openMenu } from "./menu.js";
import { Pictures } from "./pictures.js";
import { closePopup } from "./popup.js";
import { attendRequest, beamSizeOf, obstacle } from "./request.js";
import { Scores } from "./scores.js";
import { readSearch } from "./search.js";
import { ask } from "./server.js";
import { viewOf } from "./view.js";

const COMPACT = new Intl.NumberFormat("en", { notation: "compact" });

/**
 * `actions` are `force(model name, prefix or null)`, `changeRows(model name, rows)`, `toggleTree(open)`,
 * `announce(model name, text)` and `follow(panel, {source, target})`, which lights the same words in the other panels.
 */
export class Panel {
  constructor(model, actions) {
    this.model = model;
    this.actions = actions;
    this.requested = null;
    this.answer = null;
    this.pictures = new Pictures({
      name: model.name,
      choose: (index, button) => this.openMenu(index, button),
      chooseCell: (cell, element) => this.openCellMenu(cell, element),
      follow: (active) => this.actions.follow(this, active),
    });
    this.tree = new BeamTree((sentence) =>
      this.pictures.say(sentence ?? this.pictures.sentence({ source: null, target: null })),
    );
    this.build();
  }

  build() {
    const { attention, distribution, decoder, name, parameters } = this.model;
    const facts = [attention, distribution, `${decoder} decoder`, `${COMPACT.format(parameters)} parameters`];
    const pictures = (title, draw, picture) =>
      html("section", {}, html("h3", {}, title, this.saveButtons(title, draw)), picture);
    this.message = html("p", { class: "message" });
    this.scores = new Scores(this.model.target);
    this.beam = html(
      "details",
      { class: "beam", toggle: () => this.actions.toggleTree(this.beam.open) },
      html("summary", {}, "Beam search"),
      this.tree.element,
    );
    this.changes = new Changes(this.model.target, {
      release: () => this.actions.force(name, null),
      releaseRows: () => {
        this.focusNext = () => this.pictures.heatMap.element.focus({ preventScroll: true });
        this.actions.changeRows(name, new Map());
      },
    });
    this.content = html(
      "div",
      { class: "content", hidden: true },
      this.pictures.line.element,
      this.changes.element,
      this.scores.element,
      html(
        "div",
        { class: "pictures" },
        pictures("Ribbons", ribbonsDrawing, this.pictures.ribbons.element),
        pictures("Heat map", heatMapDrawing, this.pictures.heatMap.element),
      ),
      this.beam,
      this.pictures.reading,
    );
    this.pictures.listen(this.content.querySelector(".pictures"));
    this.pictures.listen(this.pictures.line.element);
    const json = html(
      "button",
      { type: "button", class: "quiet", click: () => saveJson(this.answer, this.fileName("attention")) },
      "JSON",
    );
    this.json = json;
    this.element = html(
      "section",
      { class: "panel", "aria-label": `Model ${name}` },
      html("header", {}, html("h2", {}, name), html("p", {}, facts.join(" · ")), json),
      this.message,
      this.content,
    );
  }

  /** Shows the state: asks the server where the last answer is one to another question. */
  update(state) {
    this.state = state;
    const request = attendRequest(this.model, state);
    this.beam.open = state.tree;
    this.beam.hidden = state.mode === "own";
    const sentence = obstacle(this.model, state);
    if (request === null || sentence !== null) {
      this.stop();
      this.clear(sentence ?? "");
    } else if (JSON.stringify(request) !== this.requested) this.send(request);
    else if (this.answer) this.show();
  }

  async send(request) {
    this.stop();
    this.requested = JSON.stringify(request);
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.element.classList.add("waiting");
    try {
      const [answer] = await Promise.all([ask("attend", request, signal), this.scores.prepare(request, signal)]);
      if (signal.aborted) return;
      this.answer = answer;
      this.answered = request;
      this.show();
      const hand = handSentence(request, this.view, this.state.unit);
      this.actions.announce(this.model.name, hand ? `${answer.text} (${hand})` : answer.text);
    } catch (error) {
      if (signal.aborted) return;
      this.requested = null;
      this.fail(error, request);
    }
    this.element.classList.remove("waiting");
  }

  /** Leaves the request in flight, and a retry that was planned. */
  stop() {
    this.asking?.abort();
    clearTimeout(this.retry);
    this.requested = null;
    this.element.classList.remove("waiting");
  }

  show() {
    const { answer, model, state } = this;
    const languages = [model.source, model.target];
    this.view = viewOf(answer, state.unit, this.answered);
    closePopup();
    this.message.textContent = answer.text ? "" : "The translation is empty.";
    this.content.hidden = false;
    this.json.hidden = false;
    this.pictures.show(this.view, languages);
    this.changes.show(this.answered, this.view, state.unit);
    this.scores.show(this.answered, answer);
    if (answer.tree && answer !== this.drawn) this.showTree();
    this.drawn = answer;
    this.focusNext?.();
    this.focusNext = null;
  }

  showTree() {
    const lengthPenalty = this.answered.length_penalty ?? this.model.length_penalty;
    const beamSize = beamSizeOf(this.model, this.state);
    this.tree.show(readSearch(this.answer.tree, { beamSize, lengthPenalty }), this.model.target);
  }

  clear(sentence) {
    this.answer = null;
    closePopup();
    this.content.hidden = true;
    this.json.hidden = true;
    this.message.classList.remove("problem");
    this.message.replaceChildren(sentence);
  }

  /** Shows a failure in place. Where it may pass, the request is sent again by itself or at once. */
  fail(error, request) {
    this.clear(error.message);
    this.message.classList.add("problem");
    this.message.append(" ", ...this.changes.buttons(request));
    const seconds = error.retryAfter ?? null;
    if (seconds === null) return;
    const again = () => {
      this.message.classList.remove("problem");
      this.send(request);
    };
    this.message.append(
      ` Next try in ${seconds} s. `,
      html("button", { type: "button", class: "quiet", click: again }, "Try now"),
    );
    this.retry = setTimeout(again, seconds * 1000);
  }

  openMenu(index, anchor) {
    const subword = this.view.first[index];
    openMenu({
      anchor,
      parent: this.content,
      answer: this.answer,
      subword,
      word: this.view.target[index],
      language: this.model.target,
      force: (prefix) => {
        this.focusNext = () => this.pictures.line.focus(index);
        this.actions.force(this.model.name, prefix);
      },
    });
  }

  openCellMenu(cell, anchor) {
    const goBack = () => this.pictures.heatMap.focus(cell);
    openCellMenu({
      anchor,
      parent: this.content,
      answer: this.answer,
      unit: this.state.unit,
      view: this.view,
      cell,
      rows: this.state.hands.get(this.model.name) ?? new Map(),
      languages: [this.model.source, this.model.target],
      change: (rows) => {
        this.focusNext = goBack;
        this.actions.changeRows(this.model.name, rows);
      },
      goBack,
    });
  }

  saveButtons(title, draw) {
    const button = (kind, save) =>
      html(
        "button",
        {
          type: "button",
          class: "quiet",
          "aria-label": `Save ${title} as ${kind}`,
          click: () => save(draw(this.view), this.fileName(title)),
        },
        kind,
      );
    return html("span", {}, button("SVG", saveSvg), button("PNG", savePng));
  }

  fileName(title) {
    return `${this.model.name}-${title}`.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
  }
}
