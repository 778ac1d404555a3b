/** What each stretch of the ECG did to the score: as colour under the trace, and as a table. */

import { bar, drawing, element, table } from "./elements.js";
import { signed } from "./words.js";

const BIN_S = 0.04;
const LEVELS = [0.15, 0.4, 0.7];

/** Return the attribution in stretches of 40 ms: sums by lead, their largest size, and sums over each lead. */
export function binned(explained) {
  const size = Math.max(1, Math.round(BIN_S * explained.rate_hz));
  const bins = explained.samples.map((samples) => sums(samples, size));
  const largest = bins.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { leads: explained.leads, bins, largest, bin_s: size / explained.rate_hz };
}

/** Return the coloured strokes that lie under the trace of one strip; they stand for shares of the largest stretch. */
export function halo(strip, points, { leads, bins, largest, bin_s }) {
  const values = bins[leads.indexOf(strip.lead)];
  if (!values || !largest) return null;
  const parts = {};
  points.forEach((at, place) => {
    const value = values[Math.floor((strip.first + place) / strip.rate / bin_s)] ?? 0;
    const level = LEVELS.filter((least) => Math.abs(value) >= least * largest).length;
    if (!at || !points[place + 1] || !level) return;
    const name = `${value > 0 ? "raises" : "lowers"} level-${level}`;
    parts[name] = `${parts[name] ?? ""}M${at}L${points[place + 1]}`;
  });
  return Object.entries(parts).map(([name, d]) => drawing("path", { class: `halo ${name}`, d }));
}

const FAINT = `Stronger colour: more. Stretches of 40 ms under ${100 * LEVELS[0]} % of the largest are left plain.`;

/** Return what the colours mean, what is left without colour, and what the signal is compared with. */
export function legend(compared, faint = FAINT) {
  return element(
    "p",
    { class: "legend attribution" },
    element("span", { class: "key" }, sample("raises"), "raised the score"),
    element("span", { class: "key" }, sample("lowers"), "lowered the score"),
    element("span", { class: "quiet" }, compared ? `${faint} Compared with ${compared}.` : faint),
  );
}

/** Return the attribution as a table, a row a lead. */
export function attributionTable({ leads, bins, bin_s }, unit) {
  const totals = bins.map((values) => values.reduce((sum, value) => sum + value, 0));
  const largest = Math.max(...totals.map(Math.abs));
  const rows = leads.map((lead, place) => [lead, signed(totals[place]), bar(totals[place], largest), strongest(bins[place], bin_s)]);
  return table(`What each lead did to the score (${unit}, all of the recording)`, ["Lead", "Sum", "", "Strongest stretch"], rows);
}

function sums(samples, size) {
  const bins = new Array(Math.ceil(samples.length / size)).fill(0);
  samples.forEach((value, place) => (bins[Math.floor(place / size)] += value));
  return bins;
}

function strongest(values, bin_s) {
  const place = values.reduce((best, value, index) => (Math.abs(value) > Math.abs(values[best]) ? index : best), 0);
  if (!values[place]) return "none";
  return `${(place * bin_s).toFixed(2)} to ${((place + 1) * bin_s).toFixed(2)} s, ${values[place] > 0 ? "raised" : "lowered"}`;
}

function sample(direction) {
  const stroke = drawing("path", { class: `halo ${direction} level-3`, d: "M1 4H23" });
  return drawing("svg", { class: "sample", viewBox: "0 0 24 8", "aria-hidden": "true" }, stroke, drawing("path", { class: "trace", d: "M1 4H23" }));
}
