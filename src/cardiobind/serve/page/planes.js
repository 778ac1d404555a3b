/** What each pixel of the cine did to the score: colour over the planes that the network saw, and a table. */

import { legend } from "./attribution.js";
import { drawing, element, folded, table } from "./elements.js";
import { number, signed, words } from "./words.js";

const COLOURS = { raises: [213, 94, 0], lowers: [11, 83, 148] };
const SMOOTH_MM = 6.6; // as cardiobind.explain.planes draws them: what localised best on simulated infarcts
const SCALE_MM = 20;
const BEAT = ["end_diastole", "mid_beat", "end_systole"];

/** Return the planes in the order of the beat, plain and with their attribution, and the same as a table. */
export function overlays(cine, frames, explained, compared, unit) {
  const fine = explained.pixels.map((pixels) => perSquareCm(pixels, explained.pixel_mm));
  const lines = byPlace(explained.planes).map((line) => ({ ...line, sum: added(line.at.map((place) => fine[place])) }));
  const largest = lines.flatMap(({ sum }) => sum.flat()).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const shown = (name, as, map) => pair(cine, frames, name, as, map, { largest, pixel_mm: explained.pixel_mm });
  const pictures = lines.flatMap(({ at, sum }) => [
    ...at.map((place) => shown(explained.planes[place], words(explained.planes[place]), fine[place])),
    shown(explained.planes[at[0]], "all moments together", sum),
  ]);
  const scale = explained.pixel_mm ? ` Full colour: ${number(largest)} ${unit} per cm². White bar: ${SCALE_MM} mm.` : "";
  return [
    element("div", { class: "planes" }, pictures),
    legend(compared, `Stronger colour: more. Under 10 % of the largest it is left plain.${scale}`),
    folded("Attribution of the planes as a table", asTable(explained, unit)),
  ];
}

function byPlace(planes) {
  const found = new Map();
  planes.forEach((name, place) => {
    const [moment, where = ""] = name.split(".").reverse();
    found.set(where, [...(found.get(where) ?? []), { place, rank: BEAT.indexOf(moment) }]);
  });
  return [...found.values()].map((line) => ({ at: line.sort((a, b) => a.rank - b.rank || a.place - b.place).map(({ place }) => place) }));
}

const added = (maps) => maps[0].map((row, y) => row.map((_, x) => maps.reduce((sum, map) => sum + map[y][x], 0)));

/** Return attributions blurred to what the network resolves, per square centimetre; as they are where a pixel's size is not known. */
function perSquareCm(pixels, pixel_mm) {
  if (!pixel_mm) return pixels;
  const weights = gaussian(SMOOTH_MM / pixel_mm);
  const turned = (map) => map[0].map((_, x) => map.map((row) => row[x]));
  const blurred = turned(turned(pixels.map((row) => along(row, weights))).map((row) => along(row, weights)));
  return blurred.map((row) => row.map((value) => (value * 100) / pixel_mm ** 2));
}

function gaussian(sd) {
  const reach = Math.ceil(4 * sd);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, place) => Math.exp(-0.5 * ((place - reach) / sd) ** 2));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
}

/** Beyond its ends a row is mirrored, so that nothing is lost there. */
function along(row, weights) {
  const [reach, period] = [(weights.length - 1) / 2, 2 * row.length];
  return row.map((_, x) => weights.reduce((sum, weight, place) => {
    const at = (((x + place - reach) % period) + period) % period;
    return sum + weight * row[at < row.length ? at : period - 1 - at];
  }, 0));
}

function pair(cine, frames, name, as, map, { largest, pixel_mm }) {
  const frame = frames[cine.planes?.find((one) => one.name === name)?.frame];
  const size = map.length;
  const over = element("canvas", { class: "attribution", width: size, height: size, "aria-hidden": "true" });
  paint(over, map, largest);
  const plain = element("div", { class: "screen" }, under(cine, frame, size, `${as}: the crop that the network saw`), scaleBar(size, pixel_mm));
  const coloured = element("div", { class: "screen" }, under(cine, frame, size, `${as}: the same, coloured by what raised or lowered the score`), over);
  return element("figure", { class: "plane" }, element("div", { class: "beside" }, plain, coloured), element("figcaption", {}, as));
}

function under(cine, frame, size, label) {
  const canvas = element("canvas", { width: 3 * size, height: 3 * size, role: "img", "aria-label": label });
  if (frame && cine.crop) {
    const { left, top, width, height } = cine.crop;
    canvas.getContext("2d").drawImage(frame, left, top, width, height, 0, 0, 3 * size, 3 * size);
  }
  return canvas;
}

function scaleBar(size, pixel_mm) {
  if (!pixel_mm) return null;
  const side = size * pixel_mm;
  return drawing("svg", { class: "scale", viewBox: `0 0 ${side} ${side}`, "aria-hidden": "true" }, drawing("path", { d: `M${0.05 * side} ${0.93 * side}h${SCALE_MM}` }));
}

function paint(canvas, pixels, largest) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  pixels.flat().forEach((value, place) => {
    const share = largest ? Math.min(1, Math.abs(value) / largest) : 0;
    image.data.set([...(value > 0 ? COLOURS.raises : COLOURS.lowers), share < 0.1 ? 0 : 40 + 150 * share], 4 * place);
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
