/** Elements out of data. Text always goes in as text: nothing from a server or a file becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/** Return an HTML element; an attribute that is null or false is left out, true is an empty one. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Return an SVG element. */
export function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** Return a table with a caption, heads of columns, and rows whose first cell is the head of the row. */
export function table(caption, heads, rows, attributes = {}) {
  return element(
    "table",
    attributes,
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head || unseen("as a bar"))))),
    element("tbody", {}, rows.map(row)),
  );
}

/** Return text that only a screen reader says. */
export const unseen = (said) => element("span", { class: "unseen" }, said);

function row([first, ...others]) {
  return element("tr", {}, element("th", { scope: "row" }, first), others.map((cell) => element("td", {}, cell)));
}

/** Return a card: a part of the result with a heading of its own. */
export function card(name, title, ...children) {
  const id = `${name}-title`;
  return element(
    "section",
    { class: `card ${name}`, "aria-labelledby": id },
    element("h3", { id }, title),
    children,
  );
}

/** Return what opens on demand. */
export function folded(summary, ...children) {
  return element("details", {}, element("summary", {}, summary), children);
}

/** Return a bar that grows from the middle of its cell, left below zero, right above; the number stands beside it. */
export function bar(value, largest) {
  const length = largest > 0 ? (50 * Math.abs(value)) / largest : 0;
  return drawing(
    "svg",
    { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawing("line", { x1: 50, x2: 50, y1: 0, y2: 10 }),
    drawing("rect", {
      class: value < 0 ? "lowers" : "raises", x: value < 0 ? 50 - length : 50, y: 2, width: length, height: 6,
    }),
  );
}
