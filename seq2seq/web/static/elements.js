// Elements of the page. Every text becomes a text node: nothing is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Fills an element. An attribute that is false, null or undefined is left out; a function listens to its event. */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** An HTML element with attributes and children, which are elements or texts. */
export const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** A text in its own direction, with its language where that is known. A leading `▁` of a subword is small. */
export function foreign(text, language) {
  const space = text.startsWith("▁") ? [html("span", { class: "space" }, "▁")] : [];
  return html("bdi", { lang: languageTag(language) }, ...space, text.slice(space.length));
}

/** A BCP 47 tag, or null: a run may call its languages anything. */
export const languageTag = (name) => (/^[a-z]{2,3}(-[a-z0-9]{2,8})*$/i.test(name ?? "") ? name : null);

/** "German" for "de"; a name that is no language stays. */
export function languageName(name) {
  try {
    return languageTag(name) ? new Intl.DisplayNames(["en"], { type: "language" }).of(name) : name;
  } catch {
    return name;
  }
}

const STRONG = /[\p{L}]/u;
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

/** Whether the first letter of a text is of a script that runs from right to left. */
export const isRightToLeft = (text) => RIGHT_TO_LEFT.test(STRONG.exec(text)?.[0] ?? "");

/** Whether a word is written in characters that stand upright in vertical text. */
export const isUpright = (word) =>
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(word);

/** Leaves one element of a group in the order of Tab: arrow keys reach the others. */
export function setTabStop(elements, current) {
  for (const one of elements) one.tabIndex = one === current ? 0 : -1;
}
