// One page: its record, register, answers, policies, approvals and tables; and where each figure of a table comes from.
// As civic_kernel/verify/{page,trace}.py.
const civicPage = (() => {
  "use strict";
  const { parse, canonical, sha256Hex, contentId, readRegister, checkAnswer, checkPolicy, checkApprovals } = civicCheck;
  const utf8 = new TextEncoder();

  const rowsOf = (text) => {
    const rows = [[]];
    let [cell, quoted] = ["", false];
    for (let at = text.startsWith("\ufeff") ? 1 : 0; at < text.length; at += 1) {
      const letter = text[at];
      if (quoted) {
        if (letter !== '"') cell += letter;
        else if (text[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
      } else if (letter === '"') quoted = true;
      else if (letter === ",") { rows.at(-1).push(cell); cell = ""; } else if (letter === "\n") { rows.at(-1).push(cell); cell = ""; rows.push([]); } else if (letter !== "\r") cell += letter;
    }
    if (cell || rows.at(-1).length) rows.at(-1).push(cell); else rows.pop();
    return rows;
  };

  // A decimal as whole number and places; null for anything else.
  const decimal = (text) => {
    const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(text));
    return found && { value: BigInt(`${found[1]}${found[2]}${found[3] || ""}`), places: (found[3] || "").length };
  };
  // Whether a table's words are the signed value; a decimal may be rounded to the digits that the table shows.
  const isSame = (spelled, signed) => {
    if (spelled === (signed === null ? "" : String(signed))) return true;
    const [wanted, shown] = [typeof signed === "string" && decimal(signed), decimal(spelled)];
    if (!wanted || !shown) return false;
    const places = Math.max(wanted.places, shown.places) + 1;
    const scaled = ({ value, places: own }) => value * 10n ** BigInt(places - own);
    const apart = scaled(wanted) - scaled(shown);
    return (apart < 0n ? -apart : apart) * 2n <= 10n ** BigInt(places - shown.places);
  };

  // Which key of an answer a key of a table is: the same name, else the only one that knows all its values.
  const keyPlaces = (keys, rows, answer) => {
    const own = answer.columns.map((column, place) => ({ ...column, place })).filter((column) => column.role === "key");
    return keys.map(({ name, place }) => {
      const same = own.find((column) => column.name === name);
      if (same) return same.place;
      const fits = own.filter((column) => {
        const known = new Set(answer.rows.map((row) => String(row[column.place])));
        return rows.every((row) => known.has(row[place]));
      });
      return fits.length === 1 ? fits[0].place : -1;
    });
  };

  // Where the figures of one table come from: for row and column {kind: "cell" | "sum" | "computed", answer?, cells?}.
  const tracer = (about, rows, statements) => {
    const [heads, ...body] = rows;
    const keys = about.columns.filter((column) => column.role === "key").map(({ name }) => ({ name, place: heads.indexOf(name) }));
    const sources = about.answers.filter((identity) => statements.has(identity)).map((identity) => {
      const { table } = statements.get(identity);
      return { identity, table, places: keyPlaces(keys, body, table) };
    });
    return (row, name) => {
      const spelled = row[heads.indexOf(name)];
      for (const { identity, table, places } of sources) {
        const place = table.columns.findIndex((column) => column.name === name && column.role !== "key");
        if (place < 0 || places.includes(-1) || spelled === "") continue;
        const cells = table.rows.filter((line) => places.every((own, at) => String(line[own]) === row[keys[at].place]));
        const whole = table.columns.filter((column) => column.role === "key").length === keys.length;
        if (whole && cells.length === 1 && isSame(spelled, cells[0][place])) return { kind: "cell", answer: identity, cells: 1 };
        if (whole || table.columns[place].role !== "measure") continue;
        const inside = cells.filter((line) => !table.columns.some((column, at) => column.role === "key" && !places.includes(at) && line[at] === "other"));
        for (const some of [cells, inside]) {
          const values = some.map((line) => line[place]);
          if (some.length && values.every((value) => Number.isSafeInteger(value)) && String(values.reduce((sum, value) => sum + value, 0)) === spelled) {
            return { kind: some.length === 1 ? "cell" : "sum", answer: identity, cells: some.length };
          }
        }
      }
      return { kind: "computed" };
    };
  };

  // A cell of a table with an answer's own keys and columns must equal it. Returns how many were compared; throws.
  const equalCells = (heads, body, keys, table) => {
    const names = table.columns.map((column) => column.name);
    const own = table.columns.filter((column) => column.role === "key").map((column) => column.name);
    if ([...own].sort().join() !== [...keys].sort().join()) return 0;
    const cells = new Map(table.rows.map((row) => [JSON.stringify(own.map((key) => String(row[names.indexOf(key)]))), row]));
    let compared = 0;
    for (const row of body) {
      const cell = cells.get(JSON.stringify(own.map((key) => row[heads.indexOf(key)])));
      for (const { name, role } of table.columns) {
        if (!cell || !["measure", "low", "high"].includes(role) || !heads.includes(name)) continue;
        if (!isSame(row[heads.indexOf(name)], cell[names.indexOf(name)])) throw new Error("a figure differs from its answer");
        compared += 1;
      }
    }
    return compared;
  };
  const equalRows = (heads, body, pages) => {
    const names = pages[0].columns.map((column) => column.name);
    if (!body.length || [...heads].sort().join() !== [...names].sort().join()) return 0;
    const signed = pages.flatMap((page) => page.rows);
    const known = new Set(signed.map((line) => JSON.stringify(line.map((value) => (value === null ? "" : String(value))))));
    for (const row of body) {
      const spelled = names.map((name) => row[heads.indexOf(name)]);
      if (!known.has(JSON.stringify(spelled)) && !signed.some((line) => line.every((value, at) => isSame(spelled[at], value)))) {
        throw new Error("a row differs from its answer");
      }
    }
    return body.length * names.length;
  };

  // `evidence`: {release_id, record, approvals, files: {path: text}}, as the site wrote it. `records` may be null.
  const check = async (evidence, records, tell = () => {}) => {
    const { record, files } = evidence;
    const found = { wrong: [], add(key, facts) { if (found.wrong.length < 50) found.wrong.push({ key, facts }); } };
    const listed = new Map(record.files.map((line) => [line.path, line]));
    const day = record.created_at.slice(0, 10);
    const counted = { files: 0, answers: 0, policies: 0, numbers: 0, cells: 0, sums: 0, computed: 0 };
    const done = { counted, wrong: found.wrong, statements: new Map(), tables: new Map(), keys: new Map(), approvers: [], records: null };
    if ((await contentId("rel", canonical(record))) !== evidence.release_id) found.add("record", {});
    for (const [path, text] of Object.entries(files)) {
      const [line, bytes] = [listed.get(path), utf8.encode(text)];
      if (!line || (await sha256Hex(bytes)) !== line.sha256) found.add("file", { name: path }); else counted.files += 1;
    }
    try {
      done.keys = await readRegister(parse(files["parties.json"]), day);
    } catch {
      found.add("register", {});
      return done;
    }
    for (const identity of record.answers) {
      try {
        const body = parse(files[`answers/${identity}.json`]);
        if (body.answer_id !== identity) throw new Error("another answer");
        await checkAnswer(body, done.keys);
        done.statements.set(identity, body.statement);
        counted.answers += 1;
      } catch {
        found.add("answer", { name: identity });
      }
    }
    const policies = [];
    const used = new Set([...record.policies, ...[...done.statements.values()].map((statement) => statement.policy_hash)]);
    for (const identity of [...used].sort()) {
      try {
        const published = parse(files[`policies/${identity}.json`]);
        await checkPolicy(published, identity, done.keys, day);
        const lanes = [...done.statements.values()].filter((one) => one.policy_hash === identity).map((one) => one.lane);
        if (!lanes.every((lane) => lane === published.policy.lane)) throw new Error("another lane");
        policies.push(published.policy);
        counted.policies += 1;
      } catch {
        found.add("policy", { name: identity });
      }
    }
    for (const path of [...listed.keys()].filter((one) => one.endsWith(".csv"))) {
      const name = path.slice("data/".length, -".csv".length);
      try {
        const about = JSON.parse(files[`data/${name}.json`]);
        const rows = rowsOf(files[path]);
        const [heads, ...body] = rows;
        const keys = about.columns.filter((column) => column.role === "key").map((column) => column.name);
        const stated = about.answers.filter((identity) => done.statements.has(identity)).map((identity) => done.statements.get(identity));
        if (stated.length && stated.every((one) => "rows" in one.plan)) counted.numbers += equalRows(heads, body, stated.map((one) => one.table));
        else for (const one of stated) counted.numbers += equalCells(heads, body, keys, one.table);
        const trace = tracer(about, rows, done.statements);
        done.tables.set(name, { about, heads, body, trace });
        for (const row of body) {
          for (const column of about.columns) {
            if (["measure", "low", "high"].includes(column.role) && row[heads.indexOf(column.name)] !== "") {
              counted[{ cell: "cells", sum: "sums", computed: "computed" }[trace(row, column.name).kind]] += 1;
            }
          }
        }
      } catch {
        found.add("number", { name });
      }
    }
    try {
      done.approvers = await checkApprovals(record, evidence.approvals, done.keys, day, policies);
    } catch {
      found.add("approvals", {});
    }
    if (records) {
      const page = { answers: done.statements, release: evidence.release_id };
      done.records = await civicRecordsCheck.check(records, page, found, tell);
    }
    return done;
  };

  // --- files that a reader has on her disk ---

  // The entries of a ZIP, from its central directory: name → bytes. Throws for what is none.
  const unzip = async (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let end = bytes.length - 22;
    while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
    const entries = new Map();
    let at = view.getUint32(end + 16, true);
    for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
      const [method, size, name, extra, comment, local] = [[10, 2], [20, 4], [28, 2], [30, 2], [32, 2], [42, 4]].map(([place, width]) => (width === 2 ? view.getUint16(at + place, true) : view.getUint32(at + place, true)));
      const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const packed = bytes.subarray(start, start + size);
      const stream = () => new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer();
      entries.set(path, method === 0 ? packed : new Uint8Array(await stream()));
      at += 46 + name + extra + comment;
    }
    return entries;
  };
  // Which files of the record these bytes are: [{name, path | null}].
  const recognise = async (record, name, bytes) => {
    const known = new Map(record.files.map((line) => [line.sha256, line.path]));
    const entries = name.toLowerCase().endsWith(".zip") ? await unzip(bytes) : new Map([[name, bytes]]);
    const inside = `reports/${record.slug}/`;
    const found = [];
    for (const [path, data] of entries) {
      const own = path.includes(inside) ? path.slice(path.indexOf(inside) + inside.length) : null;
      // In the ZIP, what is no file of the release (its record, approvals, the site's records) is checked by the button.
      if (entries.size > 1 && (own === null || own === "release.json" || own.startsWith("status/") || own.endsWith("/"))) continue;
      found.push({ name: own || path, path: known.get(await sha256Hex(data)) || null });
    }
    return found;
  };

  return { check, rowsOf, isSame, tracer, unzip, recognise };
})();
