// The panel of one model: asks the server, shows the answer, the failure, or what is missing.

import { BeamTree } from "./beam.js";
import { heatMapDrawing, ribbonsDrawing, saveJson, savePng, saveSvg } from "./download.js";
import { foreign, html } from "./elements.js";
import { closeMenu, openMenu } from "./menu.js";
import { Pictures } from "./pictures.js";
import { attendRequest, beamSizeOf } from "./request.js";
import { readSearch } from "./search.js";
import { number, quote } from "./sentences.js";
import { ask } from "./server.js";
import { textOf, viewOf } from "./view.js";

const COMPACT = new Intl.NumberFormat("en", { notation: "compact" });

/**
 * `actions` are `force(model name, prefix or null)`, `toggleTree(open)`, `announce(model name, text)` and
 * `follow(panel, {source, target})`, which lights the same words in the other panels.
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
    this.numbers = html("p", { class: "numbers" });
    this.beam = html(
      "details",
      { class: "beam", toggle: () => this.actions.toggleTree(this.beam.open) },
      html("summary", {}, "Beam search"),
      this.tree.element,
    );
    this.release = html(
      "button",
      { type: "button", class: "quiet release", click: () => this.actions.force(name, null) },
      "Release",
    );
    this.forced = html("p", { class: "forced-start", hidden: true });
    this.content = html(
      "div",
      { class: "content", hidden: true },
      this.pictures.line.element,
      this.forced,
      this.numbers,
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
    if (request === null) {
      this.stop();
      this.clear("Type a translation of your own above.");
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
      const answer = await ask("attend", request, signal);
      if (signal.aborted) return;
      this.answer = answer;
      this.answered = request;
      this.show();
      this.actions.announce(this.model.name, answer.text);
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
    this.view = viewOf(answer, state.unit, this.answered.prefix ?? null);
    closeMenu();
    this.message.textContent = answer.text ? "" : "The translation is empty.";
    this.content.hidden = false;
    this.json.hidden = false;
    this.pictures.show(this.view, languages);
    this.showForced();
    this.showNumbers();
    if (answer.tree && answer !== this.drawn) this.showTree();
    this.drawn = answer;
    if (this.focusNext !== undefined) this.pictures.line.focus(this.focusNext);
    this.focusNext = undefined;
  }

  /** The scores; beside those of a translation by the reader, those of the model's own where it has made one. */
  showNumbers() {
    const scores = (answer) => `log-probability ${number(answer.log_probability)} · score ${number(answer.score)}`;
    const { source, target } = this.answered;
    if (target === undefined) this.ownAnswer = { source, answer: this.answer };
    this.numbers.replaceChildren(scores(this.answer));
    if (target !== undefined && this.ownAnswer?.source === source) {
      const { answer } = this.ownAnswer;
      this.numbers.append(
        html("br"),
        "The model’s own: “",
        foreign(answer.text, this.model.target),
        `” ${scores(answer)}`,
      );
    }
  }

  showForced() {
    const { prefix } = this.answered;
    this.forced.hidden = !prefix;
    if (prefix) {
      const text = Array.isArray(prefix) ? textOf(prefix) : prefix;
      this.forced.replaceChildren("Forced start: ", foreign(text, this.model.target), " ", this.release);
    }
  }

  showTree() {
    const lengthPenalty = this.answered.length_penalty ?? this.model.length_penalty;
    const beamSize = beamSizeOf(this.model, this.state);
    this.tree.show(readSearch(this.answer.tree, { beamSize, lengthPenalty }), this.model.target);
  }

  clear(sentence) {
    this.answer = null;
    closeMenu();
    this.content.hidden = true;
    this.json.hidden = true;
    this.message.classList.remove("problem");
    this.message.replaceChildren(sentence);
  }

  /** Shows a failure in place. Where it may pass, the request is sent again by itself or at once. */
  fail(error, request) {
    this.clear(error.message);
    this.message.classList.add("problem");
    if (request.prefix) this.message.append(" ", this.release);
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
        this.focusNext = index;
        this.actions.force(this.model.name, prefix);
      },
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
