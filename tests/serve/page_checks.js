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
})
