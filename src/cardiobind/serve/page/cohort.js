/** One risk against the risks of the model's cohort. */

import { drawing, element, folded, table } from "./elements.js";
import { percent } from "./words.js";

const [WIDTH, HEIGHT, BASE, TOP] = [320, 134, 98, 36];
const [ROWS, LETTER] = [[11, 26], 6.4];

/** Return a histogram of the cohort's risks on the same inputs with this one marked, and the same as a table. */
export function histogram(prediction, all) {
  const cohort = { ...all, ...all?.risks?.[prediction.inputs] };
  if (!cohort.edges) return element("p", { class: "quiet" }, "This bundle holds no risks of its cohort to compare with.");
  const scale = scaled(prediction, cohort);
  const picture = drawing(
    "svg",
    { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(prediction, cohort) },
    bars(cohort, scale), axis(scale), interval(prediction, scale), lines(prediction, scale),
  );
  const open = scale.most < cohort.edges.at(-1) ? "; the last bar goes on to the right" : "";
  const visits = cohort.counts.reduce((sum, count) => sum + count, 0).toLocaleString("en");
  const thick = prediction.interval ? " Thick line: the interval." : "";
  const caption = `Risks of ${cohort.of ?? "the model's cohort"} with the same inputs (${visits}); the area of a bar is their number${open}.${thick}`;
  return element("figure", {}, picture, element("figcaption", {}, caption), folded("As a table", asTable(cohort)));
}

/** The axis ends where most visits end: the last bar may reach up to 100 %. */
function scaled({ risk, interval }, { edges }) {
  const most = Math.min(1, edges.at(-1), Math.max(1.4 * edges.at(-2), 1.15 * risk, interval ? 1.05 * interval[1] : 0));
  return { most, x: (share) => 6 + ((WIDTH - 12) * Math.min(share, most)) / most };
}

/** Bars may differ in width, so that their area stands for visits. */
function bars({ edges, counts }, { x }) {
  const density = counts.map((count, place) => count / (edges[place + 1] - edges[place]));
  const tallest = Math.max(...density);
  return density.map((value, place) => {
    const height = tallest > 0 ? (value / tallest) * (BASE - TOP) : 0;
    return drawing("rect", {
      class: "cohort", x: x(edges[place]), width: Math.max(0.5, x(edges[place + 1]) - x(edges[place]) - 0.6), y: BASE - height, height,
    });
  });
}

function axis({ most, x }) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((size) => most / size <= 5) ?? 0.5;
  const ticks = Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, place) => place * step);
  return [
    drawing("line", { class: "axis", x1: x(0), x2: x(most), y1: BASE, y2: BASE }),
    ticks.map((tick) => drawing("text", { class: "tick", x: Math.max(12, Math.min(WIDTH - 14, x(tick))), y: BASE + 22, "text-anchor": "middle" }, `${Math.round(100 * tick)} %`)),
  ];
}

/** The name of a line that must reach across the other line stands above it, and the other line ends beneath. */
function lines({ risk, threshold }, { x, most }) {
  const own = { at: x(risk), said: `this one ${percent(risk)}`, name: "mark", side: risk < threshold ? "end" : "start" };
  if (!Number.isFinite(threshold) || threshold > most) return named(own, ROWS[0]);
  const limit = { at: x(threshold), said: `threshold ${percent(threshold)}`, name: "limit", side: risk < threshold ? "start" : "end" };
  const [first, second] = anchored(limit) === limit.side ? [own, limit] : [limit, own];
  return [named(second, ROWS[1]), named(first, ROWS[0])];
}

function named(line, foot) {
  const anchor = anchored(line);
  const aside = foot === ROWS[0] ? 0 : { start: 3, end: -3 }[anchor];
  return [
    drawing("line", { class: line.name, x1: line.at, x2: line.at, y1: foot + 4, y2: BASE }),
    drawing("text", { class: `${line.name}-name`, x: line.at + aside, y: foot, "text-anchor": anchor }, line.said),
  ];
}

/** Return the side of a line on which its name has room: the wished one if it can. */
function anchored({ at, said, side }) {
  const long = said.length * LETTER;
  if (side === "end") return at < long ? "start" : "end";
  return at > WIDTH - long ? "end" : "start";
}

function interval({ interval: span }, { x }) {
  if (!span) return [];
  return drawing("line", { class: "interval", x1: x(span[0]), x2: Math.max(x(span[1]), x(span[0]) + 1), y1: BASE + 5, y2: BASE + 5 });
}

function inWords({ risk, interval, threshold }, { edges, counts }) {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const below = counts.reduce((sum, count, place) => sum + (edges[place + 1] <= risk ? count : 0), 0);
  const span = interval ? `, interval ${percent(interval[0])} to ${percent(interval[1])}` : "";
  const cut = Number.isFinite(threshold) ? ` The threshold is ${percent(threshold)}.` : "";
  return `Histogram of the cohort's risks. This risk is ${percent(risk)}${span}; ${all ? Math.floor((100 * below) / all) : 0} in 100 of the cohort lie in lower bars.${cut}`;
}

function asTable({ edges, counts }) {
  const rows = counts.map((count, place) => [`${percentPoint(edges[place])} to ${percentPoint(edges[place + 1])}`, String(count)]);
  return table("Visits of the cohort by risk", ["Risk", "Visits"], rows);
}

const percentPoint = (share) => `${(100 * share).toFixed(1)} %`;
