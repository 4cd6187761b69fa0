"use strict";
// What is wider than its place on the page says so, and fades where there is more.
const sideways = (() => {
  const hints = new Map();
  function hint(box) {
    const beyond = box.scrollWidth - box.clientWidth;
    if (beyond > 1 && !hints.has(box)) {
      const words = document.createElement("p");
      words.className = "note sideways";
      words.textContent = "Wider than this page: scroll sideways for the rest.";
      hints.set(box, words);
      box.before(words);
    }
    if (hints.has(box)) hints.get(box).hidden = beyond <= 1;
    box.classList.toggle("more", beyond - box.scrollLeft > 1);
  }
  const boxes = [...document.querySelectorAll(".scroll, .plot")];
  const sizes = new ResizeObserver(() => boxes.forEach(hint));
  boxes.forEach((box) => {
    box.addEventListener("scroll", () => hint(box), { passive: true });
    sizes.observe(box);
    const table = box.querySelector("table");
    if (table) sizes.observe(table);
  });
  return { hint };
})();
