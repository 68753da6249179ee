// The method page's button: checks this page's answers, signatures and records in the reader's browser, without network,
// and says in words what was found. What it needs lies in two script files beside the page, since a page that was opened
// from a disk may not read any other kind.
(() => {
  "use strict";
  const box = document.getElementById("check");
  if (!box) return;
  const { say, figures } = JSON.parse(document.getElementById("check-words").textContent);
  const words = (key, facts = {}) => say[key].replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
  const make = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  };
  const many = (value) => value.toLocaleString(document.documentElement.lang);
  // As the report page spells it: groups of three, a true minus sign, no digit more or less.
  const spell = (value) => (/^-?\d+(\.\d+)?$/.test(value) ? value.replace(/^-/, "−").replace(/\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ",")) : value);
  const load = (address, name) => new Promise((done) => {
    const script = make("script", "", { src: address });
    script.onload = () => done(globalThis[name] ?? null);
    script.onerror = () => done(null);
    document.head.append(script);
  });

  const start = make("button", words("start"), { type: "button", class: "act" });
  const progress = make("p", "", { role: "status", class: "soft" });
  const result = make("div", "", { class: "found", tabindex: "-1" });
  result.hidden = true;
  box.querySelector(".needs-script").replaceWith(start, progress, result);

  const line = (list, good, text) => {
    const item = make("li", "", { class: good ? "good" : "bad" });
    // The mark has its word for whoever hears the page.
    item.append(make("span", good ? "✓" : "✗", { "aria-hidden": "true" }), make("span", words(good ? "right" : "false"), { class: "unseen" }), ` ${text}`);
    list.append(item);
  };
  const lines = (list, done) => {
    const { counted, records } = done;
    for (const { key, facts } of done.wrong) line(list, false, words(`wrong.${key}`, facts));
    if (counted.answers) line(list, true, words("answers", { answers: many(counted.answers) }));
    if (counted.policies) line(list, true, words("policies", { policies: many(counted.policies) }));
    const names = done.approvers.map((key) => key.title[document.documentElement.lang]);
    if (names.length) line(list, true, words("approved", { parties: names.join(", ") }));
    if (counted.files) line(list, true, words("files", { files: many(counted.files) }));
    for (const kind of ["cells", "sums"]) {
      if (counted[kind]) line(list, true, words(`numbers.${kind}`, { count: many(counted[kind]) }));
    }
    // No mark: what is not worked out again is not right, only said.
    if (counted.computed) list.append(make("li", words("numbers.computed", { count: many(counted.computed) })));
    if (!records) list.append(make("li", words("no_records")));
    else if (records.events) {
      line(list, true, words("records", { events: many(records.events), charges: many(records.charges) }));
      for (const side of ["city", "cso"]) {
        const seq = records.witnessed[side];
        list.append(make("li", words(seq ? `witness.${side}` : `witness.${side}.none`, { seq: many(seq) })));
      }
    }
  };
  const show = (done) => {
    const good = done.wrong.length === 0;
    const list = make("ul", "");
    lines(list, done);
    result.replaceChildren(
      make("h3", good ? words("good") : words("bad", { count: many(done.wrong.length) })), list,
      make("p", words(good ? "proves" : "wrong_then")), make("p", words("cannot")),
    );
    result.hidden = false;
    progress.textContent = "";
    result.focus();
    if (good && done.tables.size) follow(done);
  };

  const checkNow = async () => {
    start.disabled = true;
    progress.textContent = words("busy");
    const evidence = globalThis.civicEvidence ?? (await load("../status/evidence.js", "civicEvidence"));
    if (!evidence) {
      progress.textContent = words("missing");
      start.disabled = false;
      return null;
    }
    const records = globalThis.civicRecords ?? (await load("../../../records/records.js", "civicRecords"));
    const tell = (at, of) => { progress.textContent = words("events_busy", { done: many(at), total: many(of) }); };
    try {
      show(await civicPage.check(evidence, records, tell));
    } catch {
      // Evidence of another shape is none: never a silent stop that looks like good news.
      progress.textContent = words("broken");
    }
    start.disabled = false;
    return evidence;
  };
  start.addEventListener("click", checkNow);

  // --- follow a number ---

  const follow = (done) => {
    const place = document.getElementById("follow");
    place.hidden = false;
    const [figure, row] = [place.querySelector("select[name=figure]"), place.querySelector("select[name=row]")];
    const body = place.querySelector("tbody");
    const shown = figures.filter(({ name }) => done.tables.has(name));
    figure.replaceChildren(...shown.map(({ title }, at) => new Option(title, String(at))));
    const trace = () => {
      const { name } = shown[Number(figure.value)];
      const table = done.tables.get(name);
      const values = table.body[Number(row.value)];
      body.replaceChildren();
      for (const column of table.about.columns.filter(({ role }) => ["measure", "low", "high", "value"].includes(role))) {
        const value = values[table.heads.indexOf(column.name)];
        const line = make("tr", "");
        const label = column.label[document.documentElement.lang];
        line.append(make("th", ["low", "high"].includes(column.role) ? words(`follow.${column.role}`, { label }) : label, { scope: "row" }), make("td", value === "" ? words("follow.none") : spell(value), { class: "number" }));
        const where = make("td", "");
        const found = value === "" ? null : table.trace(values, column.name);
        if (found) {
          where.append(`${words(`follow.${found.kind}`, { cells: many(found.cells ?? 0) })} `);
          for (const identity of found.answer ? [found.answer] : table.about.answers) {
            const link = make("a", "", { href: `../answers/${identity}.json` });
            link.append(make("code", `${identity.slice(0, 12)}…`));
            where.append(link, " ");
          }
        }
        line.append(where);
        body.append(line);
      }
    };
    const fill = () => {
      row.replaceChildren(...shown[Number(figure.value)].rows.map((label, at) => new Option(label, String(at))));
      trace();
    };
    figure.onchange = fill;
    row.onchange = trace;
    const wanted = shown.findIndex(({ name }) => location.hash === `#from-${name}`);
    if (wanted >= 0) figure.value = String(wanted);
    fill();
  };

  // --- files that the reader has saved ---

  const saved = document.getElementById("saved");
  saved.hidden = false;
  const answer = saved.querySelector("ul");
  saved.querySelector("input").addEventListener("change", async ({ target }) => {
    answer.replaceChildren();
    const evidence = await checkNow();
    for (const file of evidence ? target.files : []) {
      try {
        const found = await civicPage.recognise(evidence.record, file.name, new Uint8Array(await file.arrayBuffer()));
        const known = found.filter(({ path }) => path);
        if (found.length > 1 && known.length) line(answer, true, words("saved.zip", { count: many(known.length), name: file.name }));
        for (const { name, path } of found) {
          if (!path) line(answer, false, words("saved.other", { name }));
          else if (found.length === 1) line(answer, true, words("saved.same", { name, path }));
        }
      } catch {
        line(answer, false, words("saved.other", { name: file.name }));
      }
    }
  });
})();
