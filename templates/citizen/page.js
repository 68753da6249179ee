// Two conveniences. Without script the page is the same page: a list of districts, tables in a fixed order.
(() => {
  const box = document.querySelector(".mygu");
  if (box) {
    const items = [...box.querySelectorAll("li")];
    const label = document.createElement("label");
    const choice = document.createElement("select");
    label.htmlFor = choice.id = "my-gu";
    label.textContent = box.dataset.label;
    choice.add(new Option(box.dataset.empty, ""));
    items.forEach((item, place) => choice.add(new Option(item.querySelector("a").textContent, String(place))));
    const list = box.querySelector("ul");
    list.before(label, choice);
    list.setAttribute("aria-live", "polite");
    list.classList.add("said");
    const show = () => {
      document.querySelectorAll("tr.mine").forEach((row) => row.classList.remove("mine"));
      items.forEach((item, place) => {
        const mine = String(place) === choice.value;
        item.classList.toggle("mine", mine);
        item.hidden = !mine;
        if (mine) document.getElementById(decodeURIComponent(item.querySelector("a").hash.slice(1)))?.classList.add("mine");
      });
      box.classList.toggle("chosen", choice.value !== "");
    };
    choice.addEventListener("change", show);
    show();
  }
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          // What is withheld has no place in an order: last both ways.
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = head.classList.contains("number") || head.dataset.numbers ? x - y : x.localeCompare(y, document.documentElement.lang);
          return down ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  });
})();
