// The public records: chain of events, heads that were witnessed, budgets and charges; and whether one page's answers stand
// in them. As civic_kernel/verify/{chain,ledger,standing}.py, in a reader's browser. What only those check: what loads
// published out of their own share, and the words that people gave for rooms' questions.
const civicRecordsCheck = (() => {
  "use strict";
  const { canonical, sha256Hex, readKeys, readRegister, validSigners, bothSides, isValid, isSigned } = civicCheck;
  const dayOf = (moment) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(moment) ? moment.slice(0, 10) : (() => { throw new Error("no moment"); })());
  const fail = (why) => { throw new Error(why); };
  const nanoOf = (rho) => {
    const found = typeof rho === "string" && /^(\d+)(?:\.(\d{1,9}))?$/.exec(rho);
    return found ? Number(found[1]) * 1e9 + Number((found[2] || "").padEnd(9, "0")) : null;
  };

  // Each register is signed by a key of each side: its own for the first, else of the one before it.
  const checkRegisters = async (parties) => {
    const accepted = [];
    for (const line of [...(parties.earlier || []), parties]) {
      const since = dayOf(line.accepted_at);
      const before = accepted.at(-1);
      const keys = before ? await readKeys(line.register) : await readRegister(line, since);
      if (before && !bothSides(await validSigners(line.register, line.signatures, before.keys, since))) fail("signed by others");
      accepted.push({ since, keys, hash: await sha256Hex(canonical(line.register)) });
    }
    const all = new Map(accepted.flatMap(({ keys }) => [...keys]));
    return {
      accepted,
      of: (use) => [...all.values()].filter((key) => key.use === use),
      on: (day) => (accepted.filter(({ since }) => since <= day).at(-1) || accepted[0]).keys,
    };
  };

  const checkChain = async (documents, gateways, found, tell) => {
    let [seq, previous] = [0, "0".repeat(64)];
    const events = [];
    const hashes = new Map([[0, previous]]);
    for (const document of documents) {
      const place = seq + 1;
      const body = document.event;
      const data = canonical(body);
      const day = dayOf(body.at);
      if (body.seq !== place || body.previous !== previous) return { events, hashes, broken: found.add("order", { seq: place }) };
      if ((await sha256Hex(data)) !== document.hash) return { events, hashes, broken: found.add("hash", { seq: place }) };
      let signed = false;
      for (const key of gateways) signed ||= isValid(key, day) && (await isSigned(key, document, data));
      if (!signed) return { events, hashes, broken: found.add("signature", { seq: place }) };
      [seq, previous] = [place, document.hash];
      hashes.set(seq, previous);
      events.push(body);
      if (place % 50 === 0) tell(place, documents.length);
    }
    return { events, hashes };
  };

  const checkWitnesses = async (published, registers, hashes, found) => {
    const keys = new Map(registers.of("witness").map((key) => [key.id, key]));
    const last = { city: 0, cso: 0 };
    for (const line of published.witnesses || []) {
      const { statement } = line;
      const key = keys.get(line.key_id);
      const good = statement.kind === "civic-witness" && key && key.side === line.side
        && isValid(key, dayOf(line.stored_at)) && (await isSigned(key, line, canonical(statement)));
      if (!good) found.add("witness", {});
      else if (hashes.get(statement.seq) !== statement.hash) found.add("witness_other", { seq: statement.seq });
      else last[key.side] = Math.max(last[key.side], statement.seq);
    }
    return last;
  };

  const checkPolicies = async (published, registers, events, found) => {
    const policies = new Map();
    for (const line of published) {
      const day = dayOf(line.activated_at);
      const hash = await sha256Hex(canonical(line.policy));
      const signers = (await validSigners(line.policy, line.signatures, registers.on(day), day))
        .filter((key) => line.policy.synthetic === true || !key.demo)
        .map((key) => `${key.side} ${key.party}`);
      const asked = line.policy.signers.map((signer) => `${signer.side} ${signer.party}`);
      if (hash !== line.hash || !bothSides(line.policy.signers) || !asked.every((one) => signers.includes(one))) {
        found.add("policy", { name: String(line.hash).slice(0, 12) });
      } else policies.set(hash, line.policy);
    }
    for (const { kind, facts } of events) {
      if (kind === "policy_activated" && !policies.has(facts.hash)) found.add("policy_missing", { name: String(facts.hash).slice(0, 12) });
    }
    return policies;
  };

  const checkLedger = (ledger, policies, events, hashes, found) => {
    if (hashes.get(ledger.head.seq) !== ledger.head.hash) found.add("ledger_head", {});
    const until = events.filter((event) => event.seq <= ledger.head.seq);
    const periods = new Map(ledger.periods.map((line) => [`${line.lineage} ${line.period}`, line]));
    if (periods.size !== ledger.periods.length) fail("a period stands there twice");
    const [opened, inForce, charged, told, ended] = [new Map(), new Map(), new Set(), new Map(), new Map()];
    const openForce = new Map();
    const chargeKey = (...parts) => parts.join(" ");
    const count = (map, key, by = 1) => map.set(key, (map.get(key) || 0) + by);
    for (const { kind, facts } of until) {
      if (kind === "policy_activated") {
        inForce.set(facts.lineage, facts.hash);
        openForce.set(facts.dataset, facts.hash);
      } else if (kind === "period_opened") {
        const [key, policy] = [`${facts.lineage} ${facts.period}`, policies.get(facts.policy)];
        const where = { lineage: facts.lineage, period: facts.period };
        if (opened.has(key)) found.add("opened_twice", where);
        else if (!policy || facts.policy !== inForce.get(facts.lineage) || policy.lineage !== facts.lineage || facts.nano !== nanoOf(policy.budget)) found.add("budget_other", where);
        opened.set(key, facts.nano);
      } else if (kind === "charged") {
        charged.add(facts.reservation);
        for (const period of facts.periods) count(told, chargeKey(facts.reservation, facts.lineage, period, facts.team, facts.nano, facts.plan));
        if (!policies.has(facts.policy) || facts.policy !== inForce.get(facts.lineage)) found.add("charge_policy", { reservation: facts.reservation });
      } else if (["answered", "lost_share_published", "reservation_closed"].includes(kind)) {
        if (!charged.has(facts.reservation)) found.add("answer_unpaid", { reservation: facts.reservation });
        if (ended.has(facts.reservation)) found.add("ended_twice", { reservation: facts.reservation });
        ended.set(facts.reservation, kind === "reservation_closed" ? "closed" : "answered");
      } else if (kind === "answered_open") {
        const policy = policies.get(facts.policy);
        if (!policy || policy.lane !== "open" || policy.dataset !== facts.dataset || facts.policy !== openForce.get(facts.dataset)) found.add("open_private", { answer: facts.answer });
      }
    }
    let charges = 0;
    for (const [key, line] of periods) {
      const where = { lineage: line.lineage, period: line.period };
      if (opened.get(key) !== line.budget) found.add("budget_untold", where);
      let spent = 0;
      for (const charge of line.charges) {
        if (!Number.isSafeInteger(charge.nano) || charge.nano <= 0) fail("a charge is a whole number above 0");
        const name = chargeKey(charge.reservation, line.lineage, line.period, charge.team, charge.nano, charge.plan_id);
        if (!(told.get(name) > 0)) found.add("charge_untold", { reservation: charge.reservation, period: line.period });
        count(told, name, -1);
        if (charge.state !== (ended.get(charge.reservation) || "reserved")) found.add("state_other", { reservation: charge.reservation });
        spent += charge.nano;
        charges += 1;
      }
      if (spent > line.budget) found.add("overspent", where);
    }
    for (const [key, left] of told) if (left > 0) found.add("charge_missing", { reservation: key.split(" ")[0], period: key.split(" ")[2] });
    for (const key of opened.keys()) if (!periods.has(key)) found.add("period_missing", { lineage: key.split(" ")[0], period: key.split(" ")[1] });
    return charges;
  };

  // Why the chain does not bear out an answer, or null.
  const reasonUnlisted = (identity, statement, events) => {
    const told = events.filter(({ kind, facts }) => ["answered", "answered_open", "answer_derived"].includes(kind) && facts.answer === identity);
    if (told.length !== 1) return "answer_untold";
    const [{ kind, facts }] = told;
    const same = { dataset: "dataset", plan: "plan_id", policy: "policy_hash", purpose: "purpose", team: "team" };
    if (Object.entries(same).some(([name, where]) => facts[name] !== statement[where])) return "answer_other";
    if (kind === "answered") {
      const charge = events.find((event) => event.kind === "charged" && event.facts.reservation === statement.reservation);
      const paid = charge && charge.facts.nano === statement.spend.rho && String(charge.facts.periods) === String(statement.periods);
      return paid ? null : "answer_price";
    }
    if (kind === "answer_derived") {
      const parts = [...(statement.joined || []), ...(statement.rolled_up || [])].map((part) => part.answer_id);
      return String(facts.sources) === String(parts) ? null : "answer_other";
    }
    return statement.spend.rho === 0 && statement.lane === "open" ? null : "answer_price";
  };

  // `found.add(key, facts)` is called for whatever is wrong. Returns what was counted.
  const check = async (records, page, found, tell = () => {}) => {
    try {
      const registers = await checkRegisters(records.parties);
      const { events, hashes } = await checkChain(records.events, registers.of("gateway"), found, tell);
      const told = events.filter(({ kind }) => kind === "register_accepted").map(({ facts }) => facts.hash);
      if (String(told) !== String(registers.accepted.map(({ hash }) => hash))) found.add("registers", {});
      if (hashes.get(records.head.seq) !== records.head.hash) found.add("head", {});
      const witnessed = await checkWitnesses(records.witnesses, registers, hashes, found);
      const policies = await checkPolicies(records.policies, registers, events, found);
      const charges = checkLedger(records.ledger, policies, events, hashes, found);
      for (const [identity, statement] of page.answers) {
        const reason = reasonUnlisted(identity, statement, events);
        if (reason) found.add(reason, { answer: identity });
      }
      const sides = events.filter(({ kind, facts }) => kind === "release_approved" && facts.release === page.release).map(({ facts }) => facts);
      if (!bothSides(sides)) found.add("approval_untold", {});
      return { events: events.length, charges, witnessed };
    } catch {
      found.add("unreadable", {});
      return { events: 0, charges: 0, witnessed: { city: 0, cso: 0 } };
    }
  };
  return { check, checkChain, reasonUnlisted };
})();
