/* Saves clicks, and nothing else: without it every step is a button that leads to a page. */
(function () {
  "use strict";

  /** A part of a page of ours. Under the Hub a script that asks with its reader's cookie shows the page's own token; without it
      the seat would send it to sign in again. */
  const part = (address) => fetch(address, { headers: { Accept: "text/html", "X-XSRFToken": document.body.dataset.xsrf } });

  // --- a question: its price follows what is chosen ---
  const question = document.querySelector("form[data-live]");
  if (question) {
    // By its attribute: the form has a field called "dataset", which would answer for `question.dataset`.
    const region = document.getElementById(question.getAttribute("data-live"));
    const look = document.getElementById("look");
    let waiting = 0, number = 0;
    const address = () => {
      const fields = new URLSearchParams(new FormData(question));
      fields.set("part", "price");
      return question.getAttribute("action") + "?" + fields;
    };
    const price = async () => {
      const mine = ++number;
      region.setAttribute("aria-busy", "true");
      let shown;
      try {
        const answer = await part(address());
        shown = answer.ok || answer.status === 409 ? await answer.text() : null;
      } catch { shown = null; }
      if (mine !== number) { return; } // a later choice is on its way
      region.removeAttribute("aria-busy");
      if (shown === null) { region.textContent = region.dataset.failed; look.hidden = false; return; }
      const page = new DOMParser().parseFromString(shown, "text/html");
      region.replaceChildren(page.querySelector("section.price, .refusal") || region.dataset.failed);
      look.hidden = true;
    };
    const said = (details) => {
      const now = details.querySelector(".said-now");
      const chosen = [...details.querySelectorAll("input:checked")].map((box) => box.parentElement.textContent.trim());
      now.textContent = chosen.slice(0, 3).join(", ") + (chosen.length > 3 ? " +" + (chosen.length - 3) : "") || now.dataset.all;
    };
    question.addEventListener("input", (event) => {
      const details = event.target.closest("details");
      if (details) { said(details); }
      clearTimeout(waiting);
      waiting = setTimeout(price, 400);
    });
    question.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      price();
    });
    // A link that was opened is priced already, or refused for something that this form does not have.
    if (region.querySelector("section")) { look.hidden = true; } else { price(); }
  }

  // --- a report: what was priced is no longer what is chosen ---
  const report = document.getElementById("report");
  if (report) {
    const priced = document.getElementById("price");
    if (priced) {
      priced.scrollIntoView({ block: "nearest" });
      priced.focus({ preventScroll: true });
      report.addEventListener("input", () => priced.remove());
    }
    report.addEventListener("submit", () => {
      const look = document.getElementById("look");
      look.setAttribute("aria-busy", "true");
    });
  }

  // --- a run: looked at again while it goes on ---
  const state = document.getElementById("state");
  if (state && state.dataset.over === "0") {
    const spoken = document.getElementById("spoken");
    document.getElementById("again").hidden = true;
    const look = async () => {
      try {
        const answer = await part(state.dataset.address);
        if (answer.ok) { show(await answer.text()); }
      } catch { /* the next look may find it */ }
      if (state.dataset.over === "0") { setTimeout(look, document.hidden ? 10000 : 1500); }
    };
    const show = (text) => {
      const now = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
      if (!now || now.dataset.over === undefined) { return; }
      const focused = document.activeElement && state.contains(document.activeElement) && document.activeElement.getAttribute("href");
      state.replaceChildren(now);
      if (focused) { const link = [...state.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused); if (link) { link.focus(); } }
      // A screen reader hears a change, and not every look.
      if (spoken.textContent !== now.dataset.words) { spoken.textContent = now.dataset.words; }
      state.dataset.over = now.dataset.over;
      if (now.dataset.over === "1") {
        document.getElementById("stop-form").hidden = true;
        document.getElementById("resume-form").hidden = now.dataset.more === "0";
      }
    };
    setTimeout(look, 1000);
  }
})();
