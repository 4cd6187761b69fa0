"use strict";
const printing = (() => {
  // A figure taller than a page is printed as pictures of whole rows of panels, each lower than a page.
  const page = (wide) => Math.max(820, 1.15 * wide);
  function slice(plot) {
    const svg = plot.querySelector("svg");
    plot.querySelector(".slices")?.remove();
    if (!svg) return;
    const [wide, tall] = [svg.width.baseVal.value, svg.height.baseVal.value];
    if (tall <= page(wide)) return;
    const { top } = svg.getBoundingClientRect();
    const panels = [...svg.querySelectorAll("g.role-scope.cell > g")].map((panel) => panel.getBoundingClientRect());
    const starts = [];
    let bottom = -Infinity;
    panels.sort((a, b) => a.top - b.top).forEach((panel) => {
      if (panel.top - top >= bottom) starts.push(panel.top - top - 3);
      bottom = Math.max(bottom, panel.bottom - top - 8);
    });
    if (starts.length < 2) return;
    const ends = [...starts.slice(1), tall];
    const cuts = [0];
    ends.forEach((end, i) => { if (i > 0 && end - cuts.at(-1) > page(wide)) cuts.push(starts[i]); });
    const slices = document.createElement("div");
    slices.className = "slices";
    cuts.forEach((from, i) => {
      const height = (cuts[i + 1] ?? tall) - from;
      const part = svg.cloneNode(true);
      part.setAttribute("viewBox", `0 ${from} ${wide} ${height}`);
      part.setAttribute("height", height);
      slices.append(part);
    });
    plot.append(slices);
  }

  const whole = () => document.querySelectorAll(".slices").forEach((slices) => slices.remove());
  return { slice, whole };
})();
