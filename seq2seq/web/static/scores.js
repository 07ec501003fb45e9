// The scores of an answer, and beside them those of what the reader compares it with.

import { foreign, html } from "./elements.js";
import { number } from "./sentences.js";
import { ask } from "./server.js";

const isChanged = (request) => request.intervene !== undefined || request.attention !== undefined;

/** The same question about the untouched model. Pictures and search of its answer are not shown. */
const untouched = ({ intervene, attention, tree, ...request }) => ({ ...request, candidates: 0 });

/** The line of scores of a model that writes this language. */
export class Scores {
  constructor(language) {
    this.language = language;
    this.element = html("p", { class: "numbers" });
    this.reference = { key: null, answer: null }; // the last answer of the untouched model
    this.own = { source: null, answer: null }; // its last translation of its own
  }

  /** Asks for the answer of the untouched model where the request changes it, unless that answer is known. */
  async prepare(request, signal) {
    const question = untouched(request);
    const key = JSON.stringify(question);
    if (!isChanged(request) || key === this.reference.key) return;
    const answer = await ask("attend", question, signal);
    this.reference = { key, answer };
  }

  show(request, answer) {
    const { source, target } = request;
    const key = JSON.stringify(untouched(request));
    if (!isChanged(request)) this.reference = { key, answer };
    if (target === undefined && this.reference.key === key) this.own = { source, answer: this.reference.answer };
    this.element.replaceChildren(values(answer));
    if (isChanged(request)) this.compare("With the model’s weights", this.reference.answer, target === undefined);
    if (target !== undefined && this.own.source === source) this.compare("The model’s own", this.own.answer, true);
  }

  compare(title, answer, hasText) {
    const text = hasText ? ["“", foreign(answer.text, this.language), "” "] : [];
    this.element.append(html("br"), `${title}: `, ...text, values(answer));
  }
}

const values = (answer) => `log-probability ${number(answer.log_probability)} · score ${number(answer.score)}`;
