"use strict";
(() => {
  const { small, measured, wrapped, lines } = letters;
  const $ = (id) => document.getElementById(id);
  const parse = (node) => JSON.parse(node.textContent);
  const [light, dark] = parse($("palette"));
  const state = { term: $("term")?.value ?? "", cell: $("cell")?.value ?? "", dark: false, sort: null, down: false };

  // The words are read first: what takes long (Vega is a megabyte of script) waits until they're painted.
  const painted = new Promise((done) => {
    const next = () => requestAnimationFrame(() => setTimeout(done));
    if (document.readyState === "complete") next();
    else window.addEventListener("load", next);
  });
  const pause = () => new Promise((done) => { setTimeout(done); });

  // --- figures -----------------------------------------------------------------------------------------------------
  const figures = [...document.querySelectorAll(".figure")].map((element) => ({
    element,
    plot: element.querySelector(".plot"),
    save: element.querySelector(".save"),
    get spec() { return (this.parsed ??= parse(element.querySelector("script"))); },
    byTerm: element.dataset.byTerm === "1",
    stale: true,
    seen: false,
    view: null,
    turn: 0,
  }));

  function chosen(figure) {
    const keep = (row) =>
      (!figure.byTerm || row.term === state.term) && (state.cell === "" || String(row.cell) === state.cell);
    return figure.spec.data.values.filter(keep);
  }

  // A layer whose field no row has would make Vega warn about an empty scale.
  function drawable(inner, rows) {
    if (!inner.layer) return inner;
    const known = (field) => !field || rows.some((row) => row[field] !== undefined && row[field] !== null);
    const layer = inner.layer.filter((one) => one.data || known(one.encoding?.x?.field));
    const height = layer.some((one) => one.encoding?.y?.field) ? inner.height : 60; // a step needs methods to count
    return { ...inner, layer, height };
  }

  // A figure with its methods' names in lines; `width` and `height` are those of the widest and the tallest one.
  function named(inner, rows, room) {
    const labels = [...new Set(rows.map((row) => row.estimator))];
    const names = Object.fromEntries(labels.map((label) => [label, wrapped(label, room)]));
    const texts = Object.values(names);
    const width = Math.max(0, ...texts.flatMap((text) => text.split("\n")).map((line) => measured(line, small)));
    const several = labels.filter((label) => names[label].includes("\n"));
    const test = `indexof(${JSON.stringify(several)}, datum.value) >= 0`;
    const words = { labelLimit: 0, labelExpr: `(${JSON.stringify(names)})[datum.label] || datum.label` };
    const axis = { ...words, labelBaseline: { condition: { test, value: "bottom" }, value: "middle" } };
    const columns = Math.max(1, Math.min(5, Math.floor(room / (width + 40))));
    const change = (encoding = {}) => Object.fromEntries(Object.entries(encoding).map(([channel, one]) => {
      if (one.field !== "estimator") return [channel, one];
      if (channel === "y") return [channel, { ...one, axis: { ...one.axis, ...axis } }];
      return [channel, one.legend ? { ...one, legend: { ...one.legend, ...words, columns } } : one];
    }));
    const layer = inner.layer?.map((one) => ({ ...one, encoding: change(one.encoding) }));
    const done = layer ? { ...inner, layer } : { ...inner, encoding: change(inner.encoding) };
    const most = Math.max(1, ...texts.map((text) => text.split("\n").length));
    const height = inner.height?.step ? { step: 17 + 13 * (most - 1) } : inner.height;
    return { spec: { ...done, height }, width };
  }

  // Records and order of the panels with titles broken to a width (`plain`: unbroken ones); two never become one.
  function titled(rows, titles, plain, width) {
    const shown = new Map();
    const taken = new Set();
    titles.forEach((title) => {
      let text = lines(plain.get(title), width);
      while (taken.has(text)) text += "\u200b";
      taken.add(text);
      shown.set(title, text);
    });
    return { values: rows.map((row) => ({ ...row, panel: shown.get(row.panel) })), sort: [...shown.values()] };
  }

  // Fit the specification to the page: one panel for one condition, the figure's own columns where they fit, else as
  // many as fit in the order of the conditions.
  function fitted(figure, rows, less) {
    const width = Math.max(figure.plot.clientWidth, 240) - less;
    const { config } = figure.spec;
    const legend = width < 520 ? { ...config.legend, columns: 2 } : config.legend;
    const spec = { ...figure.spec, data: { values: rows }, config: { ...config, legend } };
    const lined = (spec.facet ? spec.spec : spec).height?.step === undefined; // methods are in the key, not beside
    const room = lined ? width - 80 : Math.min(220, Math.max(90, 0.4 * width));
    const { spec: inner, width: beside } = named(drawable(spec.facet ? spec.spec : spec, rows), rows, room);
    const labels = lined ? 60 : beside + 32;
    const single = width - labels - 24;
    if (!spec.facet) return { ...inner, width: single };
    const { facet, columns, spacing, resolve: _, spec: __, ...rest } = spec;
    if (state.cell !== "") return { ...rest, ...inner, width: single };
    const share = (across) => (width - labels - 24 - spacing.column * (across - 1)) / across;
    const own = share(columns) >= 110;
    let across = columns;
    if (!own) for (across = 1; share(across + 1) >= 150; across += 1);
    const there = new Set(rows.map((row) => row.panel));
    const axes = there.size > 4 * across; // one below all would be out of sight
    const panel = Math.min(share(across), 420) - (axes ? 12 : 0); // whose labels stand out by half a gap at most
    const order = own ? facet.sort.filter((title) => there.has(title))
      : [...new Set([...rows].sort((a, b) => a.cell - b.cell).map((row) => row.panel))];
    const plain = new Map(facet.sort.map((title, i) => [title, spec.usermeta.titles[i]]));
    const { values, sort } = titled(rows, order, plain, panel - 4);
    return {
      ...rest, data: { values }, facet: { ...facet, sort }, columns: across, spec: { ...inner, width: panel },
      spacing: axes ? { ...spacing, column: 12 } : spacing, resolve: { axis: { x: axes ? "independent" : "shared" } },
    };
  }

  function coloured(spec) {
    if (!state.dark) return spec;
    let text = JSON.stringify(spec);
    light.forEach((colour, i) => { text = text.replaceAll(colour, `@@${i}@@`); });
    dark.forEach((colour, i) => { text = text.replaceAll(`@@${i}@@`, colour); });
    return JSON.parse(text);
  }

  function readVega() {
    if (window.vegaEmbed) return;
    const script = document.createElement("script");
    script.textContent = $("vega").textContent;
    document.body.append(script);
  }

  // One figure after the other, with a pause in which the page can answer; a later choice makes a drawing needless.
  let queue = painted;
  function draw(figure) {
    const turn = begin(figure);
    figure.waiting = true;
    queue = queue.then(() => turn === figure.turn && drawn(figure, turn)).catch((error) => console.error(error)).then(pause);
  }

  // Printing doesn't wait for a queue.
  let onPaper = false;
  function drawForPrint() {
    onPaper = true;
    const [late, ready] = [[], []];
    figures.forEach((figure) => (figure.stale || figure.waiting ? late : ready).push(figure));
    ready.forEach((figure) => printing.slice(figure.plot));
    late.forEach((figure) => drawn(figure, begin(figure)));
  }
  function drawnForPrint() {
    onPaper = false;
    printing.whole();
  }

  function begin(figure) {
    figure.stale = false;
    figure.turn += 1;
    return figure.turn;
  }

  // A choice may change while a figure is being drawn: only the newest drawing reaches the page.
  async function drawn(figure, turn) {
    readVega();
    figure.waiting = false;
    const rows = chosen(figure);
    figure.save.hidden = rows.length === 0;
    if (!rows.length) {
      show(figure, null, document.createTextNode("Nothing to show for this choice."));
      return;
    }
    const sheet = document.createElement("div");
    const options = { actions: false, renderer: "svg", tooltip: { theme: "custom" } };
    const fit = (less) => vegaEmbed(sheet, coloured(fitted(figure, rows, less)), options);
    const wide = () => sheet.querySelector("svg").width.baseVal.value - Math.max(figure.plot.clientWidth, 240);
    let made = await fit(0);
    if (wide() > 0) { // marks and labels stand out of their panels: known when they're drawn
      const less = Math.ceil(wide()) + 2;
      made.view.finalize();
      made = await fit(less);
    }
    if (turn !== figure.turn) {
      made.view.finalize();
      return;
    }
    show(figure, made.view, sheet);
    const svg = sheet.querySelector("svg");
    const title = figure.element.previousElementSibling.textContent;
    svg.setAttribute("role", "img");
    const caption = figure.element.querySelector("figcaption").textContent;
    svg.setAttribute("aria-label", `${title}. ${caption} The same numbers are in the table below.`);
    if (onPaper) printing.slice(figure.plot);
  }

  function show(figure, view, node) {
    if (figure.view) figure.view.finalize();
    figure.view = view;
    figure.plot.replaceChildren(node);
    sideways.hint(figure.plot);
  }

  const refresh = () => figures.forEach((figure) => {
    figure.stale = true;
    if (figure.seen) draw(figure);
  });

  const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const figure = figures.find((one) => one.element === entry.target);
    figure.seen = entry.isIntersecting;
    if (figure.seen && figure.stale) draw(figure);
  }), { rootMargin: "600px 0px" });
  figures.forEach((figure) => {
    watcher.observe(figure.element);
    figure.save.addEventListener("click", async () => {
      const text = await figure.view.toSVG();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
      link.download = `${figure.element.id.replace("figure-", "")}.svg`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  });
  window.addEventListener("beforeprint", drawForPrint);
  window.addEventListener("afterprint", drawnForPrint);
  let [lastWidth, waiting] = [window.innerWidth, 0];
  window.addEventListener("resize", () => {
    if (window.innerWidth === lastWidth) return;
    lastWidth = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 150);
  });

  // --- the table of all numbers -----------------------------------------------------------------------------------
  let data = null;
  const columns = [
    { name: "condition", get: (i) => data.conditions[data.cell[i]] },
    ...["estimator", "term", "measure"].map((name) => ({ name, get: (i) => data[name].values[data[name].codes[i]] })),
    ...["value", "mcse", "n", "n_attempted"].map((name) => ({ name, get: (i) => data[name][i], number: true })),
  ];
  const heads = { estimator: "method", mcse: "MCSE", n_attempted: "attempted" };
  const limit = 200;

  const decimals = (mcse) => Math.min(Math.max(-Math.floor(Math.log10(mcse)), 0), 8);
  function shown(column, i) {
    const value = column.get(i);
    if (value === null) return "";
    if (column.name === "value" && data.mcse[i] > 0 && typeof value === "number") {
      return value.toFixed(decimals(data.mcse[i]) + 1);
    }
    if (column.name === "mcse" && value > 0) return value.toFixed(decimals(value) + 1);
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  }

  function rowsOfTable() {
    const measure = $("measure").value;
    const method = $("method").value;
    const kept = [];
    for (let i = 0; i < data.cell.length; i += 1) {
      const term = data.term.values[data.term.codes[i]];
      if (state.cell !== "" && String(data.cell[i]) !== state.cell) continue;
      if (measure && data.measure.values[data.measure.codes[i]] !== measure) continue;
      if (method && data.estimator.values[data.estimator.codes[i]] !== method) continue;
      if (!term.startsWith("(") && term !== state.term) continue;
      kept.push(i);
    }
    if (state.sort !== null) {
      const get = columns[state.sort].get;
      const sign = state.down ? -1 : 1;
      const empty = (x) => x === null;
      kept.sort((a, b) => {
        const [x, y] = [get(a), get(b)];
        if (empty(x) || empty(y)) return empty(x) - empty(y);
        return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
      });
    }
    return kept;
  }

  function fillTable() {
    if (!data) return;
    const rows = rowsOfTable();
    const body = document.createDocumentFragment();
    rows.slice(0, limit).forEach((i) => {
      const line = document.createElement("tr");
      columns.forEach((column) => {
        const entry = document.createElement("td");
        entry.textContent = shown(column, i);
        if (column.number) entry.className = "number";
        line.append(entry);
      });
      body.append(line);
    });
    document.querySelector("#numbers tbody").replaceChildren(body);
    $("shown").textContent = rows.length > limit
      ? `The first ${limit} of ${rows.length} rows are shown; copying takes them all.` : `${rows.length} rows.`;
    document.querySelectorAll("#numbers th").forEach((head, k) => {
      head.setAttribute("aria-sort", state.sort === k ? (state.down ? "descending" : "ascending") : "none");
    });
  }

  function csv() {
    const quoted = (x) => {
      const text = x === null ? "" : String(x);
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const names = ["cell", ...data.factors, ...columns.slice(1).map((column) => column.name)];
    const lines = rowsOfTable().map((i) => [
      data.cell[i],
      ...data.factors.map((factor) => data.levels[data.cell[i]][factor] ?? ""),
      ...columns.slice(1).map((column) => column.get(i)),
    ].map(quoted).join(","));
    return [names.map(quoted).join(","), ...lines].join("\n");
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function options(select, first, values, preferred) {
    select.append(new Option(first, ""));
    values.forEach((value) => select.append(new Option(value, value)));
    if (values.includes(preferred)) select.value = preferred;
    select.addEventListener("change", fillTable);
  }

  const headRow = document.createElement("tr");
  columns.forEach((column, k) => {
    const head = document.createElement("th");
    head.scope = "col";
    if (column.number) head.className = "number";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heads[column.name] ?? column.name;
    button.addEventListener("click", () => {
      state.down = state.sort === k ? !state.down : false;
      state.sort = k;
      fillTable();
    });
    head.append(button);
    headRow.append(head);
  });
  document.querySelector("#numbers thead").append(headRow);
  painted.then(() => {
    data = parse($("data"));
    options($("measure"), "all", data.measure.values, "coverage");
    options($("method"), "all", data.estimator.values, "");
    fillTable();
  });
  $("copy").addEventListener("click", async () => {
    await copy(csv());
    $("copied").textContent = "Copied.";
    setTimeout(() => { $("copied").textContent = ""; }, 2000);
  });
  document.querySelectorAll(".command").forEach((node) => {
    node.title = "Click to copy";
    node.addEventListener("click", () => copy(node.textContent));
  });

  // --- what the page shows ------------------------------------------------------------------------------------------
  function select() {
    document.querySelectorAll("[data-term]").forEach((node) => { node.hidden = node.dataset.term !== state.term; });
    document.querySelectorAll(".glance td").forEach((node) => {
      node.classList.toggle("off", state.cell !== "" && node.dataset.cell !== state.cell);
    });
    document.querySelectorAll(".failed tbody").forEach((node) => {
      node.hidden = state.cell !== "" && node.dataset.cell !== state.cell;
    });
    fillTable();
    refresh();
  }
  ["term", "cell"].forEach((name) => {
    if ($(name)) $(name).addEventListener("change", () => { state[name] = $(name).value; select(); });
  });

  function theme(isDark) {
    state.dark = isDark;
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    $("theme").textContent = isDark ? "Light" : "Dark";
    $("theme").setAttribute("aria-pressed", String(isDark));
    refresh();
  }
  const preferred = window.matchMedia("(prefers-color-scheme: dark)");
  preferred.addEventListener("change", (event) => theme(event.matches));
  $("theme").addEventListener("click", () => theme(!state.dark));
  select();
  theme(preferred.matches);
})();
