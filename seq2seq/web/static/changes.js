// What a reader has fixed in one model, with the buttons that undo it: a forced start, and weights by hand.

import { foreign, html } from "./elements.js";
import { textOf } from "./view.js";

const count = (number, name) => `${number} ${name}${number === 1 ? "" : "s"}`;

/** `release` frees the forced start, `releaseRows` all rows of weights by hand. */
export class Changes {
  constructor(language, { release, releaseRows }) {
    const button = (text, click) => html("button", { type: "button", class: "quiet release", click }, text);
    this.language = language;
    this.release = button("Release", release);
    this.releaseRows = button("Release all", releaseRows);
    this.element = html("div", {});
  }

  /** Shows what was fixed in a request whose answer has this view. */
  show(request, view, unit) {
    const { prefix } = request;
    const text = Array.isArray(prefix) ? textOf(prefix) : prefix;
    const sentence = handSentence(request, view, unit);
    const line = (...parts) => html("p", { class: "fixed" }, ...parts);
    this.element.replaceChildren(
      ...(prefix ? [line("Forced start: ", foreign(text, this.language), " ", this.release)] : []),
      ...(sentence ? [line(sentence, " ", this.releaseRows)] : []),
    );
  }

  /** The buttons for a request that the server refused. */
  buttons({ prefix, attention }) {
    return [...(prefix ? [this.release] : []), ...(attention ? [this.releaseRows] : [])];
  }
}

/** "Weights by hand: 2 words", or nothing. A row may belong to no unit that is shown. */
export function handSentence({ attention }, view, unit) {
  if (!attention) return "";
  const shown = count(view.byHand.filter(Boolean).length, unit.slice(0, -1));
  const hidden = attention.filter((row, index) => row && !view.subwords.some((indices) => indices.includes(index)));
  const rest = hidden.length ? `, and ${count(hidden.length, "row")} outside the ${unit} that are shown` : "";
  return `Weights by hand: ${shown}${rest}`;
}
