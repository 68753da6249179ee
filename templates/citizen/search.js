// Finds reports by what they say. Without script the list stands there whole, and the browser's own search works.
(() => {
  const list = document.querySelector("ul.reports");
  const entries = window.CIVIC_SEARCH;
  if (!list || !entries) return;
  const plain = (words) => words.normalize("NFC").toLocaleLowerCase().replace(/\s+/g, " ");
  // On a phone many type only the first letter of each syllable: ㄴㅇㄱ for 노원구.
  const firsts = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
  const initials = (words) => words.replace(/[가-힣]/g, (one) => firsts[Math.floor((one.charCodeAt(0) - 0xac00) / 588)]);
  const has = (words, wanted) => words.includes(wanted) || (/^[ㄱ-ㅎ]{2,}$/.test(wanted) && initials(words).includes(wanted));
  const items = [...list.children].map((item) => {
    const entry = entries.find((one) => one.slug === item.dataset.slug) ?? { words: item.textContent, passages: [] };
    const passages = entry.passages.map(([words, place]) => ({ words, place, plain: plain(words) }));
    return { item, passages, all: [plain(entry.words), ...passages.map((one) => one.plain)].join(" ") };
  });

  const form = document.createElement("form");
  const label = document.createElement("label");
  const field = document.createElement("input");
  const hint = document.createElement("p");
  const said = document.createElement("p");
  form.setAttribute("role", "search");
  form.className = "search";
  field.type = "search";
  field.autocomplete = "off";
  label.htmlFor = field.id = "search";
  label.textContent = list.dataset.label;
  hint.id = "search-hint";
  hint.className = "soft";
  hint.textContent = list.dataset.hint;
  field.setAttribute("aria-describedby", hint.id);
  said.setAttribute("role", "status");
  form.append(label, field, hint, said);
  list.before(form);
  form.addEventListener("submit", (event) => event.preventDefault());

  const show = () => {
    const wanted = plain(field.value).split(" ").filter(Boolean);
    let count = 0;
    for (const { item, passages, all } of items) {
      const here = wanted.every((one) => has(all, one));
      item.hidden = !here;
      item.querySelector(".hits")?.remove();
      if (!here) continue;
      count += 1;
      const hits = wanted.length ? passages.filter((one) => wanted.every((word) => has(one.plain, word))).slice(0, 3) : [];
      if (!hits.length) continue;
      const shown = document.createElement("ul");
      shown.className = "hits";
      for (const hit of hits) {
        const link = document.createElement("a");
        link.href = `${item.querySelector("a").getAttribute("href")}#${encodeURIComponent(hit.place)}`;
        link.textContent = hit.words;
        const line = document.createElement("li");
        line.append(link);
        shown.append(line);
      }
      item.append(shown);
    }
    const { all, found, none } = list.dataset;
    said.textContent = !wanted.length ? all : count ? found.replace("#", count) : none;
  };
  field.addEventListener("input", show);
  show();
})();
