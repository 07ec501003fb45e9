// The translation as a line of words. The line under a word is as long as the word's probability.

import { foreign, html, isRightToLeft, languageTag, setTabStop } from "./elements.js";
import { percent } from "./sentences.js";
import { label } from "./view.js";

export class TranslationLine {
  constructor() {
    this.element = html("p", { class: "translation", keydown: (event) => this.move(event) });
  }

  show(view, languages) {
    this.element.dir = isRightToLeft(view.target.join("")) ? "rtl" : "ltr"; // dir=auto would not look into bdi
    this.element.setAttribute("lang", languageTag(languages[1]) ?? "");
    this.buttons = view.target.map((word, t) => {
      const button = html(
        "button",
        {
          type: "button",
          "data-target": t,
          "data-menu": "",
          "aria-haspopup": "dialog",
          class: `word${view.forced[t] ? " forced" : ""}${view.byHand[t] ? " by-hand" : ""}`,
          "aria-label":
            `${label(word)}, ${percent(view.probabilities[t])}` +
            `${view.forced[t] ? ", forced" : ""}${view.byHand[t] ? ", weights by hand" : ""}`,
          title: percent(view.probabilities[t], 1),
        },
        foreign(label(word), languages[1]),
      );
      button.style.setProperty("--probability", view.probabilities[t].toFixed(3));
      return button;
    });
    const parts = this.buttons.flatMap((button, t) => (t && view.spaced[t] ? [" ", button] : [button]));
    this.element.replaceChildren(...parts);
    setTabStop(this.buttons, this.buttons[0]);
  }

  highlight({ source, target }, view) {
    this.buttons.forEach((button, t) => {
      button.classList.toggle("lit", t === target);
      button.style.setProperty(
        "--share",
        source === null || target !== null ? 0 : view.weights[t][source].toFixed(3),
      );
    });
  }

  move(event) {
    const forward = this.element.dir === "rtl" ? -1 : 1;
    const steps = { ArrowLeft: -forward, ArrowRight: forward, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.focus(Number(event.target.dataset.target) + step);
  }

  focus(index) {
    const button = this.buttons[Math.min(Math.max(index, 0), this.buttons.length - 1)];
    if (button === undefined) return;
    setTabStop(this.buttons, button);
    button.focus();
  }
}
