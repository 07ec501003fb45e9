// The pictures of one answer, and the pointer that they share: what is under the mouse or has the focus is lit in all.

import { palette } from "./colours.js";
import { html } from "./elements.js";
import { HeatMap } from "./heat_map.js";
import { Ribbons } from "./ribbons.js";
import { cellSentence, sourceSentence, targetSentence } from "./sentences.js";
import { TranslationLine } from "./translation.js";

const NOTHING = { source: null, target: null };
const HINT = "Point at a word, tap it, or move to it with the keyboard, to see its attention.";

/**
 * The pictures of the model with this name. `choose(index, button)` is called when a target unit is clicked,
 * `chooseCell({source, target}, cell)` when a cell of the heat map is, `follow({source, target})` when other units are
 * lit than before.
 */
export class Pictures {
  constructor({ name, choose, chooseCell, follow }) {
    this.choose = choose;
    this.follow = follow;
    this.line = new TranslationLine();
    this.ribbons = new Ribbons();
    this.heatMap = new HeatMap(name, { point: (active) => this.point(active), choose: chooseCell });
    this.reading = html("p", { class: "reading", "aria-live": "polite" });
  }

  show(view, languages) {
    this.view = view;
    const colour = palette(view.source.length);
    this.line.show(view, languages);
    this.ribbons.show(view, colour, languages);
    this.heatMap.show(view, colour, languages);
    this.point(NOTHING);
  }

  /** Lets the words under `root` answer to pointer and focus. */
  listen(root) {
    root.addEventListener("pointerover", (event) => this.point(unitsOf(event.target) ?? this.focused(root)));
    root.addEventListener("pointerleave", () => this.point(this.focused(root)));
    root.addEventListener("focusin", (event) => this.point(unitsOf(event.target) ?? NOTHING));
    root.addEventListener("focusout", () => this.point(NOTHING));
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-menu]");
      if (button) this.choose(Number(button.dataset.target), button);
    });
  }

  point(active) {
    this.light(active);
    this.follow(active);
  }

  light(active) {
    if (!this.view?.target.length) return;
    for (const picture of [this.line, this.ribbons, this.heatMap]) picture.highlight(active, this.view);
    this.say(this.sentence(active));
  }

  /** Whether `units` are the units of a side. */
  has(side, units) {
    return this.view?.[side].join("\n") === units?.join("\n");
  }

  say(sentence) {
    if (this.reading.textContent !== sentence) this.reading.textContent = sentence;
  }

  sentence({ source, target }) {
    if (target !== null && source !== null) return cellSentence(this.view, target, source);
    if (target !== null) return targetSentence(this.view, target);
    if (source !== null) return sourceSentence(this.view, source);
    return HINT;
  }

  focused(root) {
    return root.contains(document.activeElement) ? (unitsOf(document.activeElement) ?? NOTHING) : NOTHING;
  }
}

/** The units that an element of a picture stands for, or null. */
function unitsOf(element) {
  const data = element.closest("[data-source], [data-target]")?.dataset;
  if (!data) return null;
  const index = (value) => (value === undefined ? null : Number(value));
  return { source: index(data.source), target: index(data.target) };
}
