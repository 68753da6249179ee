// Signed public documents checked in a reader's browser: a third implementation beside data_access and
// civic_kernel.verify, held together with both by tests/vectors. Nothing is fetched; every failure is an exception or a
// line of `wrong`, and nothing that was not checked counts as good.
const civicCheck = (() => {
  "use strict";
  const utf8 = new TextEncoder();
  const wrong = (why) => { throw new Error(why); };

  // --- bytes ---

  // RFC 8785 without floats. A number with a point or an exponent is refused as text: JSON.parse would forget it.
  const parse = (text) => {
    for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g)) {
      if (token[0] !== '"' && /[.eE]/.test(token)) wrong("a number that is no integer");
    }
    return JSON.parse(text);
  };
  const canonicalText = (value) => {
    if (value === null || typeof value === "boolean") return String(value);
    if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : wrong("no exact integer");
    if (typeof value === "string") {
      return /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)
        ? wrong("half a character") : JSON.stringify(value);
    }
    if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
    if (typeof value !== "object") wrong("no JSON");
    const members = Object.keys(value).sort().map((key) => `${canonicalText(key)}:${canonicalText(value[key])}`);
    return `{${members.join(",")}}`;
  };
  const canonical = (value) => utf8.encode(canonicalText(value));

  const fromBase64 = (text) => {
    const whole = typeof text === "string" && text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
    return whole ? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) : wrong("no base64");
  };
  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const base32 = (bytes) => {
    let [bits, held, text] = [0, 0, ""];
    for (const byte of bytes) {
      held = (held << 8) | byte;
      for (bits += 8; bits >= 5; bits -= 5) text += "abcdefghijklmnopqrstuvwxyz234567"[(held >> (bits - 5)) & 31];
      held &= (1 << bits) - 1;
    }
    return text;
  };

  // --- hashes and signatures, where the browser has none of its own (an old one, or a page over plain http) ---

  const native = globalThis.crypto && globalThis.crypto.subtle;
  const primes = (() => {
    const found = [];
    for (let n = 2; found.length < 80; n += 1) if (found.every((prime) => n % prime)) found.push(n);
    return found.map(BigInt);
  })();
  const root = (value, degree) => {
    let [low, high] = [0n, value];
    while (low < high) {
      const middle = (low + high + 1n) / 2n;
      if (middle ** degree <= value) low = middle; else high = middle - 1n;
    }
    return low;
  };
  const BITS64 = (1n << 64n) - 1n;
  // FIPS 180-4: the first 64 bits of the fractions of the primes' roots; SHA-256 takes the first 32 of the same.
  const squares = primes.slice(0, 8).map((prime) => root(prime << 128n, 2n) & BITS64);
  const cubes = primes.map((prime) => root(prime << 192n, 3n) & BITS64);
  const padded = (message, block) => {
    const size = Math.ceil((message.length + 1 + block / 8) / block) * block;
    const bytes = new Uint8Array(size);
    bytes.set(message);
    bytes[message.length] = 0x80;
    new DataView(bytes.buffer).setBigUint64(size - 8, BigInt(message.length) * 8n);
    return new DataView(bytes.buffer);
  };
  const plainSha256 = (message) => {
    const k = cubes.slice(0, 64).map((cube) => Number(cube >> 32n) | 0);
    const h = squares.map((square) => Number(square >> 32n) | 0);
    const view = padded(message, 64);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    const w = new Int32Array(64);
    for (let at = 0; at < view.byteLength; at += 64) {
      for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(at + 4 * i);
      for (let i = 16; i < 64; i += 1) {
        const [x, y] = [w[i - 15], w[i - 2]];
        w[i] = w[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      }
      let [a, b, c, d, e, f, g, q] = h;
      for (let i = 0; i < 64; i += 1) {
        const one = (q + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [a, b, c, d, e, f, g, q] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
      }
      [a, b, c, d, e, f, g, q].forEach((value, i) => { h[i] = (h[i] + value) | 0; });
    }
    const out = new DataView(new ArrayBuffer(32));
    h.forEach((value, i) => out.setInt32(4 * i, value));
    return new Uint8Array(out.buffer);
  };
  const plainSha512 = (message) => {
    const h = [...squares];
    const view = padded(message, 128);
    const turn = (x, n) => ((x >> n) | (x << (64n - n))) & BITS64;
    for (let at = 0; at < view.byteLength; at += 128) {
      const w = [];
      for (let i = 0; i < 16; i += 1) w.push(view.getBigUint64(at + 8 * i));
      for (let i = 16; i < 80; i += 1) {
        const [x, y] = [w[i - 15], w[i - 2]];
        w.push((w[i - 16] + (turn(x, 1n) ^ turn(x, 8n) ^ (x >> 7n)) + w[i - 7] + (turn(y, 19n) ^ turn(y, 61n) ^ (y >> 6n))) & BITS64);
      }
      let [a, b, c, d, e, f, g, q] = h;
      for (let i = 0; i < 80; i += 1) {
        const one = (q + (turn(e, 14n) ^ turn(e, 18n) ^ turn(e, 41n)) + ((e & f) ^ (~e & g)) + cubes[i] + w[i]) & BITS64;
        const two = ((turn(a, 28n) ^ turn(a, 34n) ^ turn(a, 39n)) + ((a & b) ^ (a & c) ^ (b & c))) & BITS64;
        [a, b, c, d, e, f, g, q] = [(one + two) & BITS64, a, b, c, (d + one) & BITS64, e, f, g];
      }
      [a, b, c, d, e, f, g, q].forEach((value, i) => { h[i] = (h[i] + value) & BITS64; });
    }
    const out = new DataView(new ArrayBuffer(64));
    h.forEach((value, i) => out.setBigUint64(8 * i, value));
    return new Uint8Array(out.buffer);
  };

  // RFC 8032, section 5.1, in the coordinates of its section 5.1.4. Slow and not in constant time: nothing here is secret.
  const P = (1n << 255n) - 19n;
  const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
  const mod = (value, by = P) => ((value % by) + by) % by;
  const power = (base, exponent) => {
    let [result, factor] = [1n, mod(base)];
    for (let left = exponent; left > 0n; left >>= 1n) {
      if (left & 1n) result = (result * factor) % P;
      factor = (factor * factor) % P;
    }
    return result;
  };
  const D = mod(-121665n * power(121666n, P - 2n));
  const add = ([x1, y1, z1, t1], [x2, y2, z2, t2]) => {
    const [a, b] = [mod((y1 - x1) * (y2 - x2)), mod((y1 + x1) * (y2 + x2))];
    const [c, d] = [mod(2n * t1 * t2 * D), mod(2n * z1 * z2)];
    const [e, f, g, h] = [b - a, d - c, d + c, b + a];
    return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
  };
  const times = (scalar, point) => {
    let [sum, doubled] = [[0n, 1n, 1n, 0n], point];
    for (let left = scalar; left > 0n; left >>= 1n) {
      if (left & 1n) sum = add(sum, doubled);
      doubled = add(doubled, doubled);
    }
    return sum;
  };
  const little = (bytes) => [...bytes].reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const pointOf = (bytes) => {
    const whole = little(bytes);
    const [sign, y] = [whole >> 255n, whole & ((1n << 255n) - 1n)];
    if (y >= P) return null;
    const square = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
    let x = power(square, (P + 3n) / 8n);
    if (mod(x * x) !== square) x = mod(x * power(2n, (P - 1n) / 4n));
    if (mod(x * x) !== square || (x === 0n && sign)) return null;
    if ((x & 1n) !== sign) x = P - x;
    return [x, y, 1n, mod(x * y)];
  };
  const BASE = pointOf(Uint8Array.from({ length: 32 }, (_, place) => (place ? 0x66 : 0x58)));
  const plainVerify = (key, signature, data) => {
    if (key.length !== 32 || signature.length !== 64) return false;
    const [point, s] = [pointOf(key), little(signature.slice(32))];
    if (!point || s >= ORDER) return false;
    const k = mod(little(plainSha512(Uint8Array.from([...signature.slice(0, 32), ...key, ...data]))), ORDER);
    const [x, y, z, t] = point;
    const [rx, ry, rz] = add(times(s, BASE), times(k, [mod(-x), y, z, mod(-t)]));
    const inverse = power(rz, P - 2n);
    const [fx, fy] = [mod(rx * inverse), mod(ry * inverse)];
    return little(signature.slice(0, 32)) === (fy | ((fx & 1n) << 255n));
  };

  const sha256 = async (bytes) =>
    native ? new Uint8Array(await native.digest("SHA-256", bytes)) : plainSha256(bytes);
  let imported = null;
  const verifyBytes = async (key, signature, data) => {
    if (!native) return plainVerify(key, signature, data);
    imported ??= new Map();
    const name = hex(key);
    try {
      if (!imported.has(name)) imported.set(name, await native.importKey("raw", key, "Ed25519", false, ["verify"]));
    } catch (fault) {
      // A browser that knows hashes and not this kind of signature says NotSupportedError; another fault is the key's.
      if (fault.name !== "NotSupportedError") return false;
      return plainVerify(key, signature, data);
    }
    return native.verify("Ed25519", imported.get(name), signature, data);
  };

  const sha256Hex = async (bytes) => hex(await sha256(bytes));
  const contentId = async (prefix, bytes) => `${prefix}-${base32(await sha256(bytes)).slice(0, 26)}`;

  // --- the register and signatures ---

  const readKeys = async (register) => {
    const parties = new Map(register.parties.map((party) => [party.id, party]));
    const keys = new Map();
    for (const line of register.keys) {
      const bytes = fromBase64(line.public);
      if (line.id !== (await contentId("key", bytes))) wrong("a key's id is not the hash of its bytes");
      const party = line.party === null ? { side: null, title: {} } : parties.get(line.party);
      keys.set(line.id, { ...line, bytes, side: party.side, title: party.title, prints: party.prints });
    }
    return keys;
  };
  const isValid = (key, day) => key.valid_from <= day && day <= key.valid_until;
  const isSigned = async (key, signature, data) => {
    try {
      return await verifyBytes(key.bytes, fromBase64(signature.ed25519), data);
    } catch {
      return false;
    }
  };
  const validSigners = async (document, signatures, keys, day) => {
    const data = canonical(document);
    const found = new Map();
    for (const signature of signatures) {
      const key = keys.get(String(signature.key_id));
      if (!key || key.use !== "sign" || key.party === null || !isValid(key, day)) continue;
      if (await isSigned(key, signature, data)) found.set(key.id, key);
    }
    return [...found.values()];
  };
  const bothSides = (keys) => ["city", "cso"].every((side) => keys.some((key) => key.side === side));
  const isParty = (key, signer) => key.side === signer.side && key.party === signer.party;
  const readRegister = async (published, day) => {
    const keys = await readKeys(published.register);
    if (!bothSides(await validSigners(published.register, published.signatures, keys, day))) wrong("the register lacks a signature");
    return keys;
  };
  const checkAnswer = async (body, keys) => {
    const data = canonical(body.statement);
    if (body.answer_id !== (await contentId("ans", data))) wrong("an answer's id is not the hash of its statement");
    const key = keys.get(body.signature.key_id);
    if (!key || key.use !== "gateway" || !(await isSigned(key, body.signature, data))) wrong("not the gateway's signature");
  };
  const checkPolicy = async (published, identity, keys, day) => {
    if ((await sha256Hex(canonical(published.policy))) !== identity) wrong("a policy's id is not its hash");
    const { signers: asked, synthetic } = published.policy;
    const signers = (await validSigners(published.policy, published.signatures, keys, day)).filter((key) => synthetic === true || !key.demo);
    const all = asked.every((one) => signers.some((key) => isParty(key, one)));
    if (!all || !bothSides(asked)) wrong("a policy lacks a signature");
  };
  // Of each side, who approves is who signed for the private data.
  const checkApprovals = async (record, approvals, keys, day, policies = []) => {
    const signers = (await validSigners(record, approvals, keys, day)).filter(
      (key) => (key.person === null || key.person !== record.author) && (!key.demo || record.demonstration === true),
    );
    const owned = policies.filter((policy) => policy.lane === "private");
    const theirs = signers.every((key) => owned.every((policy) => policy.signers.some((one) => isParty(key, one))));
    return theirs && bothSides(signers) ? signers : wrong("a release lacks an approval");
  };

  return {
    parse, canonical, canonicalText, sha256Hex, contentId, verifyBytes, fromBase64, hex, readKeys, readRegister,
    isValid, isSigned, validSigners, bothSides, checkAnswer, checkPolicy, checkApprovals, plainSha256, plainSha512, plainVerify,
  };
})();
