/** A 12-lead ECG on millimetre paper: 25 mm/s and 10 mm/mV in the units of the drawing, which are millimetres. */

import { drawing } from "./elements.js";
import { halo } from "./attribution.js";
import { number } from "./words.js";

export const MM_PER_S = 25;
export const MM_PER_MV = 10;
const [LEFT, RIGHT, FOOT, SECONDS] = [15, 5, 7, 10];
const NAME = { letter: 2.4, tall: 3, least: 7, begin: 1.2, gap: 2, last: 13 };
const BY_THREE = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"], ["II"]];
const ALL = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/** How the leads stand: rows of leads, least and largest distance of rows, largest of a row from an edge (mm). */
export const LAYOUTS = {
  "3x4": { rows: BY_THREE, least: 30, most: 50, edge: 40 },
  "12x1": { rows: ALL.map((lead) => [lead]), least: 20, most: 35, edge: 35 },
  print: { rows: BY_THREE, least: 25, most: 25, edge: 20 },
};

/** Return the ECG as SVG. `ecg` as the server gives it; `attribution` of the explanation or null. */
export function paper(ecg, attribution, layout = "3x4") {
  const shown = strips(ecg, LAYOUTS[layout].rows);
  const { baselines, height, cut } = placed(shown, LAYOUTS[layout]);
  const [wide, clip] = [MM_PER_S * SECONDS, `sheet-${layout}`];
  const [width, tall] = [LEFT + wide + RIGHT, height + FOOT];
  return drawing(
    "svg",
    { class: "paper", viewBox: `${-LEFT} 0 ${width} ${tall}`, width: `${width}mm`, height: `${tall}mm`, role: "img", "aria-label": inWords(ecg, layout) },
    drawing("clipPath", { id: clip }, drawing("rect", { x: -LEFT, y: 0, width, height })),
    drawing("rect", { class: "sheet", x: -LEFT, y: 0, width, height }),
    grid(width, height, 1, "fine"),
    grid(width, height, 5, "coarse"),
    shown.map((strip) => label(strip, baselines[strip.row])),
    drawing("g", { "clip-path": `url(#${clip})` }, shown.map((strip) => traced(strip, baselines[strip.row], attribution))),
    baselines.map(pulse),
    drawing("text", { class: "scales", x: wide, y: height + 5, "text-anchor": "end" }, scales(ecg, cut)),
  );
}

function strips(ecg, rows) {
  return rows.flatMap((leads, row) => leads.map((lead, column) => strip(ecg, lead, row, [column, leads.length])));
}

function strip(ecg, lead, row, [column, columns]) {
  const begin = (SECONDS * column) / columns;
  const end = (SECONDS * (column + 1)) / columns;
  const all = ecg.amplitude_mv[ecg.leads.indexOf(lead)] ?? [];
  const known = all.filter((value) => value !== null);
  const absent = !known.length || (ecg.present && !ecg.present.includes(lead));
  const [first, last] = [begin, end].map((second) => Math.round(second * ecg.rate_hz));
  return { lead, row, column, begin, end, absent, rate: ecg.rate_hz, first, middle: median(known), samples: absent ? [] : all.slice(first, last + 1) };
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

function placed(shown, { rows, least, most, edge }) {
  const reach = rows.map((_, row) => reached(shown.filter((strip) => strip.row === row)));
  const baselines = [5 + room(reach[0].above, least / 2, edge)];
  for (let row = 1; row < rows.length; row += 1) {
    baselines.push(baselines[row - 1] + room(reach[row - 1].below + reach[row].above, least, most));
  }
  const height = baselines.at(-1) + room(reach.at(-1).below, least / 2, edge);
  const cut = reach.some(({ above, below }, row) => above > baselines[row] || below > height - baselines[row]);
  return { baselines, height, cut };
}

function reached(strips) {
  const offsets = strips.flatMap((one) => heights(one, one.samples));
  const [high, low] = offsets.reduce(([most, least], value) => [Math.max(most, value), Math.min(least, value)], [0, 0]);
  return { above: Math.max(high, ...strips.map((one) => placeOfName(one).foot + NAME.tall)), below: -low };
}

const heights = (strip, samples) => samples.filter((value) => value !== null).map((value) => (value - strip.middle) * MM_PER_MV);

/** Return where a lead's name stands (mm): beside a wave that reaches its height, and above it where there is no room beside. */
function placeOfName(strip) {
  for (let begin = NAME.begin; begin <= NAME.last; begin += 1) {
    if (highest(strip, begin) + NAME.gap <= NAME.least) return { begin, foot: NAME.least };
  }
  return { begin: NAME.begin, foot: Math.max(NAME.least, highest(strip, NAME.begin) + NAME.gap) };
}

function highest(strip, begin) {
  const [from, to] = [begin - NAME.gap, begin + NAME.letter * strip.lead.length + NAME.gap].map((mm) => Math.round((mm / MM_PER_S) * strip.rate));
  return heights(strip, strip.samples.slice(Math.max(0, from), to + 1)).reduce((most, value) => Math.max(most, value), 0);
}

const room = (needed, least, most) => Math.min(most, Math.max(5 * Math.ceil(least / 5), 5 * Math.ceil((needed + 2) / 5)));

function grid(width, height, step, name) {
  const lines = [];
  for (let x = -LEFT; x <= width - LEFT; x += step) lines.push(`M${x} 0V${height}`);
  for (let y = 0; y <= height; y += step) lines.push(`M${-LEFT} ${y}H${width - LEFT}`);
  return drawing("path", { class: name, d: lines.join("") });
}

function traced(strip, baseline, attribution) {
  const points = strip.samples.map((value, place) => (value === null ? null : point(strip, baseline, value, place)));
  return drawing(
    "g",
    { "data-lead": strip.lead },
    attribution ? halo(strip, points, attribution) : null,
    drawing("path", { class: "trace", d: path(points) }),
  );
}

function point(strip, baseline, value, place) {
  const x = ((strip.first + place) / strip.rate) * MM_PER_S;
  return `${x.toFixed(2)} ${(baseline - (value - strip.middle) * MM_PER_MV).toFixed(2)}`;
}

/** Return the way through points; it is interrupted where a sample is absent. */
export function path(points) {
  return points.map((at, place) => (at === null ? "" : `${points[place - 1] ? "L" : "M"}${at}`)).join("");
}

function label(strip, baseline) {
  const x = strip.begin * MM_PER_S;
  const tick = strip.column ? drawing("path", { class: "tick", d: `M${x} ${baseline - 2.5}v5` }) : null;
  const name = strip.absent ? `${strip.lead} (absent)` : strip.lead;
  const { begin, foot } = placeOfName(strip);
  return [tick, drawing("text", { class: "lead", x: x + begin, y: Math.max(NAME.tall, baseline - foot) }, name)];
}

const pulse = (baseline) => drawing("path", { class: "trace", d: `M-10 ${baseline}h1.5v-${MM_PER_MV}h5v${MM_PER_MV}h1.5` });

function scales(ecg, cut) {
  const seconds = Math.max(...ecg.amplitude_mv.map((lead) => lead.length)) / ecg.rate_hz;
  const part = ecg.start_s ? `from ${number(ecg.start_s)} s on` : `first ${Math.min(SECONDS, seconds).toFixed(1)} s`;
  return `25 mm/s   10 mm/mV   ${number(ecg.rate_hz)} Hz   ${part}   median of each lead at its baseline${cut ? "   waves beyond the edge are cut" : ""}`;
}

function inWords(ecg, layout) {
  const absent = ecg.present ? ecg.leads.filter((lead) => !ecg.present.includes(lead)) : [];
  const how = layout === "12x1" ? "twelve rows" : "three rows of four leads and a rhythm strip of lead II";
  return `12-lead ECG in ${how}, 25 mm/s, 10 mm/mV. ${absent.length ? `Absent: ${absent.join(", ")}.` : "All leads are there."}`;
}
