/** One risk against the risks of the model's cohort. */

import { drawing, element, folded, table } from "./elements.js";
import { percent } from "./words.js";

const [WIDTH, HEIGHT, BASE, TOP] = [320, 132, 96, 34];

/** Return a histogram of the cohort's risks on the same inputs with this one marked, and the same as a table. */
export function histogram(prediction, all) {
  const cohort = { ...all, ...all?.risks?.[prediction.inputs] };
  if (!cohort.edges) return element("p", { class: "quiet" }, "This bundle holds no risks of its cohort to compare with.");
  const scale = scaled(prediction, cohort);
  const picture = drawing(
    "svg",
    { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(prediction, cohort) },
    bars(cohort, scale), axis(scale), interval(prediction, scale), mark(prediction, scale), limit(prediction, scale),
  );
  const open = scale.most < cohort.edges.at(-1) ? "; the last bar goes on to the right" : "";
  const visits = cohort.counts.reduce((sum, count) => sum + count, 0).toLocaleString("en");
  const caption = `Risks of ${cohort.of ?? "the model's cohort"} with the same inputs (${visits}). The area of a bar stands for their number${open}.`;
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
    ticks.map((tick) => text(Math.max(12, Math.min(WIDTH - 14, x(tick))), BASE + 22, `${Math.round(100 * tick)} %`, "tick")),
  ];
}

function mark({ risk, threshold }, { x }) {
  return [
    drawing("line", { class: "mark", x1: x(risk), x2: x(risk), y1: 15, y2: BASE }),
    text(x(risk), 11, `this one ${percent(risk)}`, "mark-name", risk < threshold ? "end" : "start"),
  ];
}

function limit({ risk, threshold }, { x, most }) {
  if (!Number.isFinite(threshold) || threshold > most) return [];
  return [
    drawing("line", { class: "limit", x1: x(threshold), x2: x(threshold), y1: 28, y2: BASE }),
    text(x(threshold), 25, `threshold ${percent(threshold)}`, "limit-name", risk < threshold ? "start" : "end"),
  ];
}

function interval({ interval: span }, { x }) {
  if (!span) return [];
  return drawing("line", { class: "interval", x1: x(span[0]), x2: Math.max(x(span[1]), x(span[0]) + 1), y1: BASE + 5, y2: BASE + 5 });
}

/** Return words beside a line, on the side that is asked for if there is room. */
function text(x, y, said, name, side = "middle") {
  const long = said.length * 5.8;
  const anchor = x < long && side === "end" ? "start" : x > WIDTH - long && side === "start" ? "end" : side;
  return drawing("text", { class: name, x: { start: x - 3, middle: x, end: x + 3 }[anchor], y, "text-anchor": anchor }, said);
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
