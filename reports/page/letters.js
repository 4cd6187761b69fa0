"use strict";
// How wide texts are on this page, and texts in lines that fit a width.
const letters = (() => {
  const pen = document.createElement("canvas").getContext("2d");
  const measured = (text, font) => {
    pen.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
    return pen.measureText(text).width;
  };
  const fits = (text, width, font = "600 12px") => measured(text, font) <= width;

  // A word in parts that fit: whole, else as many tokens as fit at a time, else as many letters.
  const token = /(?:\d+(?:\.\d+)?[eE][-+]?\d+|[^-:=(,+*/|~_])*[-:=(,+*/|~_]*/g;
  function parts(word, fit) {
    if (fit(word)) return [word];
    const cut = (piece) => {
      let end = piece.length;
      while (end > 1 && !fit(piece.slice(0, end))) end -= 1;
      return end < piece.length ? [piece.slice(0, end), ...cut(piece.slice(end))] : [piece];
    };
    return word.match(token).filter(Boolean).flatMap(cut).reduce((made, piece) => (
      made.length && fit(made.at(-1) + piece) ? [...made.slice(0, -1), made.at(-1) + piece] : [...made, piece]), []);
  }

  // Methods' names whole, in lines of at most a width: broken between words and at hyphens, else between tokens.
  const small = "11px";
  function wrapped(name, width) {
    const made = [""];
    const cut = (piece) => parts(piece, (part) => fits(part.trim(), width, small));
    name.match(/\s*[^\s-]*-?/g).filter(Boolean).flatMap(cut).forEach((piece) => {
      if (made.at(-1) && !fits(made.at(-1) + piece, width, small)) made.push("");
      made[made.length - 1] += piece;
    });
    return made.map((line) => line.trim()).join("\n");
  }

  // A panel's title in lines that its panel is wide enough for: a line a factor, else between words, else tokens.
  function lines(title, width) {
    const cut = (word) => parts(word, (part) => fits(part, width));
    const joined = (made, next) => {
      const longer = made.length ? `${made.at(-1)} ${next}` : next;
      return fits(longer, width) ? [...made.slice(0, -1), longer] : [...made, next];
    };
    return title.split("\n").flatMap((piece) => piece.split(" ").flatMap(cut).reduce(joined, [])).reduce(joined, []).join("\n");
  }

  return { small, measured, wrapped, lines };
})();
