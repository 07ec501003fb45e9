// The colour of a source unit: its position in the sentence, from the first stop of the style sheet to the last.

const STOPS = ["--first", "--second", "--third", "--fourth", "--fifth"];

/** A function from source index to `[red, green, blue]`, in the colours of the present theme. */
export function palette(count) {
  const style = getComputedStyle(document.documentElement);
  const stops = STOPS.map((name) => channels(style.getPropertyValue(name).trim()));
  return (index) => {
    const position = (count > 1 ? index / (count - 1) : 0) * (stops.length - 1);
    const left = Math.min(Math.floor(position), stops.length - 2);
    return stops[left].map((from, channel) =>
      Math.round(from + (stops[left + 1][channel] - from) * (position - left)),
    );
  };
}

/** A colour of the style sheet, by its name. */
export const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const css = (rgb, opacity = 1) => `rgb(${rgb.join(" ")} / ${opacity})`;

export const hex = (rgb) => `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;

/** Whether text in the colour of the page is easier to read on this cell than text in the colour of ink. */
export const isDeep = (weight) => weight > 0.6;

function channels(colour) {
  const digits = colour.replace("#", "");
  return [0, 2, 4].map((start) => Number.parseInt(digits.slice(start, start + 2), 16));
}
