/** One risk against the risks of the model's cohort. */

import { drawing, element, folded, table } from "./elements.js";
import { percent } from "./words.js";

const [WIDTH, HEIGHT, BASE, TOP] = [320, 132, 96, 34];

/** Return a histogram of the cohort's risks with this one marked, and the same as a table. */
export function histogram(prediction, cohort) {
  const scale = scaled(prediction, cohort);
  const picture = drawing(
    "svg",
    { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": inWords(prediction, cohort) },
    bars(cohort, scale), axis(scale), limit(prediction, scale), interval(prediction, scale), mark(prediction, scale),
  );
  const caption = `Risks of ${cohort.of ?? "the model's cohort"}${cohort.n ? ` (${cohort.n.toLocaleString("en")} people)` : ""}`;
  return element("figure", {}, picture, element("figcaption", {}, caption), folded("As a table", asTable(cohort)));
}

function scaled({ risk, interval }, { edges }) {
  const most = Math.min(1, Math.max(edges.at(-1), risk, interval ? interval[1] : 0));
  return { most, x: (share) => 6 + ((WIDTH - 12) * share) / most };
}

function bars({ edges, counts }, { x }) {
  const tallest = Math.max(...counts, 1);
  return counts.map((count, place) => {
    const height = (count / tallest) * (BASE - TOP);
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
    ticks.map((tick) => text(x(tick), BASE + 22, `${Math.round(100 * tick)} %`, "tick")),
  ];
}

function mark({ risk }, { x }) {
  return [
    drawing("line", { class: "mark", x1: x(risk), x2: x(risk), y1: 15, y2: BASE }),
    text(x(risk), 11, `this one ${percent(risk)}`, "mark-name"),
  ];
}

function limit({ threshold }, { x, most }) {
  if (!Number.isFinite(threshold) || threshold > most) return [];
  return [
    drawing("line", { class: "limit", x1: x(threshold), x2: x(threshold), y1: 28, y2: BASE }),
    text(x(threshold), 25, `threshold ${percent(threshold)}`, "limit-name"),
  ];
}

function interval({ interval: span }, { x }) {
  if (!span) return [];
  return drawing("line", { class: "interval", x1: x(span[0]), x2: Math.max(x(span[1]), x(span[0]) + 1), y1: BASE + 5, y2: BASE + 5 });
}

function text(x, y, said, name) {
  const half = said.length * 2.9;
  const anchor = x < half ? "start" : x > WIDTH - half ? "end" : "middle";
  return drawing("text", { class: name, x: anchor === "start" ? Math.max(2, x - 4) : anchor === "end" ? Math.min(WIDTH - 2, x + 4) : x, y, "text-anchor": anchor }, said);
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
  return table("People of the cohort by risk", ["Risk", "People"], rows);
}

const percentPoint = (share) => `${(100 * share).toFixed(1)} %`;
