/** What each pixel of the cine did to the score: colour over the planes that the network saw, and a table. */

import { legend } from "./attribution.js";
import { element, folded, table } from "./elements.js";
import { signed, words } from "./words.js";

const COLOURS = { raises: [213, 94, 0], lowers: [11, 83, 148] };

/** Return the planes with their attribution, and the same as a table. */
export function overlays(cine, frames, explained, compared, unit) {
  const largest = explained.pixels.flat(2).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const pictures = explained.planes.map((name, place) => plane(cine, frames, name, explained.pixels[place], largest));
  return [element("div", { class: "planes" }, pictures), legend(compared, "Stronger colour: more. Pixels under 10 % of the largest are left plain."), folded("Attribution of the planes as a table", asTable(explained, unit))];
}

function plane(cine, frames, name, pixels, largest) {
  const size = pixels.length;
  const label = `${words(name)}: the crop that the network saw, coloured by what raised or lowered the score`;
  const [under, over] = [element("canvas", { width: 3 * size, height: 3 * size, role: "img", "aria-label": label }), element("canvas", { class: "attribution", width: size, height: size, "aria-hidden": "true" })];
  const frame = frames[cine.planes?.find((one) => one.name === name)?.frame];
  if (frame && cine.crop) {
    const { left, top, width, height } = cine.crop;
    under.getContext("2d").drawImage(frame, left, top, width, height, 0, 0, 3 * size, 3 * size);
  }
  paint(over, pixels, largest);
  return element("figure", { class: "plane" }, element("div", { class: "screen" }, under, over), element("figcaption", {}, words(name)));
}

function paint(canvas, pixels, largest) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  pixels.flat().forEach((value, place) => {
    const share = largest ? Math.abs(value) / largest : 0;
    image.data.set([...(value > 0 ? COLOURS.raises : COLOURS.lowers), share < 0.1 ? 0 : 40 + 130 * share], 4 * place);
  });
  context.putImageData(image, 0, 0);
}

function asTable({ planes, pixels }, unit) {
  const rows = planes.map((name, place) => {
    const values = pixels[place].flat();
    const total = (sign) => values.reduce((sum, value) => sum + (sign * value > 0 ? value : 0), 0);
    return [words(name), signed(total(1)), signed(total(-1)), signed(total(1) + total(-1))];
  });
  return table(`What each plane did to the score (${unit})`, ["Plane", "Raised", "Lowered", "Sum"], rows);
}
