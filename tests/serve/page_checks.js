({
  /** What has neither label nor text. */
  unnamed: () =>
    [...document.querySelectorAll("input, select, button, [role=img], summary, section, [role=region], canvas")]
      .filter((node) => !node.closest("[hidden]") && node.getAttribute("aria-hidden") !== "true")
      .filter((node) => {
        const other = document.getElementById(node.getAttribute("aria-labelledby") ?? "");
        return ![node.getAttribute("aria-label"), node.labels?.[0]?.innerText, node.innerText, other?.innerText].some((said) => said?.trim());
      })
      .map((node) => node.outerHTML.slice(0, 120)),

  duplicateIds: () =>
    [...document.querySelectorAll("[id]")].map((node) => node.id).filter((id, place, all) => all.indexOf(id) !== place),

  /** Text below 4.5 to 1 on the nearest opaque ground: relative luminance and contrast ratio of WCAG 2.2. */
  pale: () => {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const light = (colour) => {
      const [r, g, b] = numbers(colour).map((c) => linear(c / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if ((numbers(colour)[3] ?? 1) === 1) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const holdsText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    return [...document.querySelectorAll("body *")]
      .filter((node) => !(node instanceof SVGElement) && node.checkVisibility() && holdsText(node))
      .map((node) => {
        const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)];
      })
      .filter(([ratio]) => ratio < 4.5);
  },

  /** Names of leads that are nearer than `gap` mm to a trace or its colours, and how many points of traces were looked at. */
  touched: (gap) => {
    const names = [...document.querySelectorAll(".paper .lead")].map((one) => [one.textContent, one.getBBox()]);
    const points = [...document.querySelectorAll(".paper [data-lead] path")].flatMap((path) =>
      Array.from({ length: Math.ceil(2 * path.getTotalLength()) }, (_, at) => path.getPointAtLength(at / 2)),
    );
    const near = (box) => ({ x, y }) =>
      x > box.x - gap && x < box.x + box.width + gap && y > box.y - gap && y < box.y + box.height + gap;
    return [points.length, names.filter(([, box]) => points.some(near(box))).map(([name]) => name)];
  },

  /** Words of the histogram that lie on a line, on a bar, on each other or beyond the edge. */
  struck: () => {
    const picture = document.querySelector(".histogram");
    const [edge, words] = [picture.viewBox.baseVal, [...picture.querySelectorAll("text")]];
    const drawn = [...picture.querySelectorAll("line, rect.cohort"), ...words];
    const meet = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
    const within = (a) => a.x >= 0 && a.y >= 0 && a.x + a.width <= edge.width && a.y + a.height <= edge.height;
    return words
      .filter((one) => !within(one.getBBox()) || drawn.some((other) => other !== one && meet(one.getBBox(), thick(other))))
      .map((one) => one.textContent);
    function thick(node) {
      const { x, y, width, height } = node.getBBox();
      const half = node.tagName === "line" ? Number.parseFloat(getComputedStyle(node).strokeWidth) / 2 : 0;
      return { x: x - half, y: y, width: width + 2 * half, height: Math.max(height, 0.1) };
    }
  },
})
