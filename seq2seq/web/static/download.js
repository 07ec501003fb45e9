// The pictures as files: drawn once more as an SVG that stands alone, with its colours and words.

import { hex, inkOver, palette, themeColour } from "./colours.js";
import { isRightToLeft, isUpright, svg } from "./elements.js";
import { blend, pitch, ribbonShapes } from "./ribbons.js";
import { label } from "./view.js";

const FONT = "system-ui, sans-serif";
const [EDGE, MIDDLE, SIZE] = [16, 260, 15];
/** Pixels: the margin, the length of a ribbon, the height of a letter. */

/** The ribbons as an SVG element. */
export function ribbonsDrawing(view) {
  const colour = palette(view.source.length);
  const rows = Math.max(view.source.length, view.target.length);
  const height = rows * pitch(rows);
  const [left, right] = [widest(view.source) + EDGE + 8, widest(view.target) + EDGE + 8];
  const shapes = ribbonShapes(view.weights, view.source.length, height, MIDDLE);
  const y = (index, count) => ((index + 0.5) * height) / count;
  const drawing = canvas(left + MIDDLE + right, height + 2 * EDGE);
  const body = svg("g", { transform: `translate(${left} ${EDGE})` });
  body.append(
    ...shapes.map(({ source, path }) => svg("path", { d: path, fill: hex(colour(source)), "fill-opacity": "0.6" })),
    ...view.source.map((word, s) => text(word, -8, y(s, view.source.length), "right")),
    ...view.target.map((word, t) => text(word, MIDDLE + 8, y(t, view.target.length), "left")),
    ...view.source.map((_, s) => bar(-4, y(s, view.source.length), height / view.source.length, hex(colour(s)))),
    ...view.target.map((_, t) =>
      bar(MIDDLE, y(t, view.target.length), height / view.target.length, hex(blend(view.weights[t], colour))),
    ),
  );
  drawing.append(body);
  return drawing;
}

/** The heat map as an SVG element. */
export function heatMapDrawing(view) {
  const colour = palette(view.source.length);
  const cell = 30;
  const [left, top] = [widest(view.target) + EDGE + 8, widest(view.source) + EDGE + 8];
  const drawing = canvas(left + view.source.length * cell + EDGE, top + view.target.length * cell + EDGE);
  const flipped = isRightToLeft(view.source.join(""));
  const x = (s) => left + (flipped ? view.source.length - 1 - s : s) * cell;
  const [line, ink] = [themeColour("--line"), inkOver("--ground")];
  view.source.forEach((word, s) => {
    const anchor = `translate(${x(s) + cell / 2} ${top - 8}) rotate(${isUpright(word) ? 0 : -90})`;
    drawing.append(
      svg("g", { transform: anchor }, text(word, 0, isUpright(word) ? -6 : 0, isUpright(word) ? "centre" : "left")),
    );
  });
  view.weights.forEach((row, t) => {
    drawing.append(text(view.target[t], left - 8, top + (t + 0.5) * cell, "right"));
    row.forEach((weight, s) => {
      const place = { x: x(s), y: top + t * cell, width: cell, height: cell };
      drawing.append(
        svg("rect", { ...place, fill: hex(colour(s)), "fill-opacity": weight.toFixed(3), stroke: line }),
      );
      if (weight < 0.05) return;
      const number = text(String(Math.round(weight * 100)), x(s) + cell / 2, top + (t + 0.5) * cell, "centre");
      number.setAttribute("font-size", "11");
      number.setAttribute("fill", ink(colour(s), weight));
      drawing.append(number);
    });
  });
  return drawing;
}

/** Saves an SVG element. */
export function saveSvg(drawing, name) {
  save(new Blob([new XMLSerializer().serializeToString(drawing)], { type: "image/svg+xml" }), `${name}.svg`);
}

/** Saves an SVG element as a PNG with two pixels for one. */
export async function savePng(drawing, name) {
  const url = URL.createObjectURL(
    new Blob([new XMLSerializer().serializeToString(drawing)], { type: "image/svg+xml" }),
  );
  const image = new Image();
  image.src = url;
  await image.decode();
  const area = document.createElement("canvas");
  area.width = image.width * 2;
  area.height = image.height * 2;
  area.getContext("2d").drawImage(image, 0, 0, area.width, area.height);
  URL.revokeObjectURL(url);
  area.toBlob((blob) => blob && save(blob, `${name}.png`), "image/png");
}

/** Saves a value as JSON. */
export function saveJson(value, name) {
  save(new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: "application/json" }), `${name}.json`);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function canvas(width, height) {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  const ground = svg("rect", { width: w, height: h, fill: themeColour("--ground") });
  return svg(
    "svg",
    { width: w, height: h, viewBox: `0 0 ${w} ${h}`, "font-family": FONT, "font-size": SIZE },
    ground,
  );
}

/** A word whose left edge, right edge or centre is at x. In a script from right to left, a text starts at its right. */
function text(word, x, y, edge) {
  const starts = isRightToLeft(word) ? "right" : "left";
  const anchor = edge === "centre" ? "middle" : edge === starts ? "start" : "end";
  const direction = starts === "right" ? "rtl" : "ltr";
  return svg(
    "text",
    { x, y, "text-anchor": anchor, direction, "dominant-baseline": "central", fill: themeColour("--ink") },
    label(word),
  );
}

const bar = (x, y, slot, fill) =>
  svg("rect", { x, y: y - Math.min(slot, 30) * 0.4, width: 4, height: Math.min(slot, 30) * 0.8, fill });

function widest(words) {
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = `${SIZE}px ${FONT}`;
  return Math.max(0, ...words.map((word) => measure.measureText(label(word)).width));
}
