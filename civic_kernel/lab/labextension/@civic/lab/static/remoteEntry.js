/* Written by hand and loaded as it is. JupyterLab's extensions are containers of module federation: an object with
   `init`, which is handed the modules that JupyterLab shares, and `get`, which gives a factory of ours. A bundler
   would add a build chain, a lock file and a copy of its runtime to say the same. Everything that we use of
   JupyterLab is shared by it, so there is nothing to bundle. */
(function () {
  "use strict";
  let shared = null;

  /** The module `name` as JupyterLab itself uses it. */
  async function use(name) {
    const versions = shared[name];
    const loaded = Object.values(versions).find((one) => one.loaded) || Object.values(versions)[0];
    return (await loaded.get())();
  }

  async function extension() {
    const [notebook, apputils, services, widgets] = await Promise.all(
      ["@jupyterlab/notebook", "@jupyterlab/apputils", "@jupyterlab/services", "@lumino/widgets"].map(use)
    );
    const plugin = {
      id: "@civic/lab:plugin",
      description: "Home, help, restore, take home, practice data or real data.",
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional: [apputils.ICommandPalette],
      activate: (app, tracker, palette) =>
        start({ app, tracker, palette, notebook, apputils, services, widgets }).catch(console.error),
    };
    return () => ({ __esModule: true, default: plugin });
  }

  async function start(lab) {
    const { app } = lab;
    const settings = app.serviceManager.serverSettings;
    lab.call = async (path, init) => {
      const answer = await lab.services.ServerConnection.makeRequest(settings.baseUrl + "civic/" + path, init || {}, settings);
      if (!answer.ok) { throw new Error(await answer.text()); }
      return answer;
    };
    const told = await (await lab.call("buttons")).json();
    lab.words = told.words;
    style();
    addBar(lab, told);
    addCommands(lab, settings.baseUrl);
    followRestored(lab, settings.baseUrl);
    app.docRegistry.addWidgetExtension("Notebook", {
      createNew: (panel) => {
        addToNotebook(lab, panel);
      },
    });
  }

  function style() {
    const sheet = document.createElement("style");
    sheet.textContent = `
      .civic-bar { display: flex; align-items: center; gap: 8px; padding: 0 8px; margin-inline-start: auto; }
      .civic-bar a, .civic-bar button {
        font: inherit; font-size: var(--jp-ui-font-size1); line-height: 18px; box-sizing: border-box; height: 24px; padding: 2px 10px;
        color: var(--jp-ui-font-color1); background: transparent; border: 1px solid var(--jp-border-color1);
        border-radius: 4px; text-decoration: none; cursor: pointer; white-space: nowrap;
      }
      .civic-bar a:focus-visible, .civic-bar button:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: 1px; }
      .civic-bar button[aria-pressed="true"] { background: var(--jp-warn-color3); color: #1e2124; border-color: var(--jp-warn-color1); }
      .jp-Toolbar-item[data-in-use="twin"] { box-shadow: inset 0 -2px 0 var(--jp-warn-color1); }
      .jp-Toolbar-item[data-in-use="real"] { box-shadow: inset 0 -2px 0 var(--jp-brand-color1); }
      .civic-words { white-space: pre-line; max-width: 36rem; word-break: keep-all; }`;
    document.head.append(sheet);
  }

  // --- the bar at the top ---

  function addBar(lab, told) {
    const bar = document.createElement("div");
    bar.className = "civic-bar";
    const home = document.createElement("a");
    home.href = told.home;
    home.textContent = lab.words["button.home"];
    home.title = lab.words["button.home_hint"];
    bar.append(home);
    for (const name of ["reports", "ask"]) {
      const link = document.createElement("a");
      link.href = `${lab.app.serviceManager.serverSettings.baseUrl}civic/${name}`;
      // A tab of its own: leaving JupyterLab would close what is not saved.
      link.target = "_blank";
      link.textContent = lab.words[`button.${name}`];
      link.title = lab.words[`button.${name}_hint`];
      bar.append(link);
    }
    if (told.workshop) { bar.append(helpButton(lab)); }
    const widget = new lab.widgets.Widget({ node: bar });
    widget.id = "civic-bar";
    lab.app.shell.add(widget, "top", { rank: 2000 });
  }

  function helpButton(lab) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = lab.words["button.help_hint"];
    const show = (on) => {
      button.setAttribute("aria-pressed", String(on));
      button.textContent = lab.words[on ? "button.help_on" : "button.help"];
    };
    show(false);
    const look = async () => show((await (await lab.call("help")).json()).wanted);
    look().catch(console.error);
    // The facilitator lowers it when she has been here.
    setInterval(() => { if (button.getAttribute("aria-pressed") === "true") { look().catch(console.error); } }, 20000);
    button.addEventListener("click", async () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.disabled = true;
      try {
        await lab.call("help", { method: "POST", body: JSON.stringify({ wanted: on }) });
        show(on);
      } catch {
        say(lab, lab.words["button.help"], lab.words["button.help_failed"]);
      }
      button.disabled = false;
    });
    return button;
  }

  // --- what concerns one notebook ---

  function addCommands(lab, base) {
    const { commands } = lab.app;
    const add = (name, act) => {
      commands.addCommand(`civic:${name}`, {
        label: lab.words[`button.${name}`],
        caption: lab.words[`button.${name}_hint`],
        isEnabled: () => lab.tracker.currentWidget !== null,
        execute: () => act(lab.tracker.currentWidget),
      });
      if (lab.palette) { lab.palette.addItem({ command: `civic:${name}`, category: "Civic" }); }
    };
    add("restore", (panel) => restore(panel, base));
    add("home_with", (panel) => takeHome(lab, panel));
  }

  async function restore(panel, base) {
    // Opened before anything is waited for: afterwards a browser takes it for a window that nobody asked for.
    const tab = window.open("", "_blank");
    const path = encodeURIComponent(panel.context.contentsModel.path);
    try {
      if (panel.context.model.dirty) { await panel.context.save(); }
    } finally {
      tab.location = `${base}civic/restore?path=${path}`;
    }
  }

  async function takeHome(lab, panel) {
    try {
      if (panel.context.model.dirty) { await panel.context.save(); }
      const path = panel.context.contentsModel.path;
      const answer = await lab.call(`take-home?path=${encodeURIComponent(path)}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = path.split("/").pop().replace(/\.ipynb$/, "") + ".zip";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (fault) {
      say(lab, lab.words["take_home.failed"], fault.message);
    }
  }

  function addToNotebook(lab, panel) {
    const { ToolbarButton } = lab.apputils;
    const add = (name, act) => {
      const button = new ToolbarButton({
        label: lab.words[`button.${name}`],
        tooltip: lab.words[`button.${name}_hint`],
        onClick: act,
      });
      panel.toolbar.addItem(`civic-${name}`, button);
      return button;
    };
    const run = (name) => () => {
      lab.app.shell.activateById(panel.id);
      return lab.app.commands.execute(`civic:${name}`);
    };
    add("restore", run("restore"));
    add("home_with", run("home_with"));
    dataButton(lab, panel);
  }

  /** JupyterLab asks, at its next save, which of two contents to keep; whoever put one back has answered that. */
  function followRestored(lab, base) {
    const path = new URL(base, location.href).pathname;
    new BroadcastChannel("civic").onmessage = ({ data }) => {
      if (data.base !== path) { return; }
      lab.tracker.forEach((panel) => {
        // In a room the server itself tells all who are in it.
        if (panel.context.contentsModel.path === data.restored && !panel.context.model.collaborative) {
          panel.context.revert();
        }
      });
    };
  }

  // --- practice data or real data ---

  const ASK = '__import__("civic_kernel.practice", fromlist=["ForButton"]).ForButton';

  /** What the notebook's kernel says to one expression of ours; null where it is not Python, or cannot answer. */
  async function ask(panel, call, code) {
    const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
    if (!kernel || (await kernel.info).language_info.name !== "python") { return null; }
    const request = { code: code || "", silent: true, store_history: false, allow_stdin: false, user_expressions: { told: ASK + call } };
    const reply = (await kernel.requestExecute(request).done).content;
    const told = reply.user_expressions && reply.user_expressions.told;
    return told && told.status === "ok" ? JSON.parse(told.data["text/plain"]) : null;
  }

  function dataButton(lab, panel) {
    const { ToolbarButton } = lab.apputils;
    const make = (words, act) => new ToolbarButton({ label: words, tooltip: lab.words["button.data_hint"], onClick: act });
    let button = null;
    let inUse = null;
    const refresh = async () => {
      const told = await ask(panel, "()").catch(() => null);
      if (panel.isDisposed || (told && told.data === inUse)) { return; }
      if (button) { button.dispose(); }
      inUse = told && told.data;
      button = told && make(lab.words[`button.${inUse}`], change);
      if (button) {
        button.node.dataset.inUse = inUse;
        panel.toolbar.addItem("civic-data", button);
      }
    };
    const change = async () => {
      const wanted = inUse === "real" ? "twin" : "real";
      const told = await ask(panel, `("${wanted}", whole=True)`).catch(() => null);
      if (!told) { return say(lab, lab.words[`switch.to_${wanted}`], lab.words["switch.failed"]); }
      const chosen = await choose(lab, lab.words[`switch.to_${wanted}`], told.words + "\n\n" + lab.words["switch.then"]);
      if (!chosen) { return; }
      await lab.call("data", { method: "POST", body: JSON.stringify({ data: wanted }) });
      await ask(panel, "()", `__import__("civic_kernel.practice", fromlist=["use"]).choose("${wanted}")`);
      await refresh();
      if (chosen === "run") {
        lab.app.shell.activateById(panel.id);
        await lab.app.commands.execute("notebook:run-all-cells");
      }
    };
    panel.sessionContext.ready.then(refresh);
    panel.sessionContext.kernelChanged.connect(() => { inUse = null; refresh(); });
    const { executed } = lab.notebook.NotebookActions;
    const after = (_, done) => {
      if (done.notebook === panel.content && done.cell.model.sharedModel.getSource().includes("use(")) { refresh(); }
    };
    executed.connect(after);
    panel.disposed.connect(() => executed.disconnect(after));
  }

  // --- dialogs ---

  function body(lab, words) {
    const node = document.createElement("div");
    node.className = "civic-words";
    node.textContent = words;
    return new lab.widgets.Widget({ node });
  }

  function say(lab, title, words) {
    const { Dialog, showDialog } = lab.apputils;
    return showDialog({ title, body: body(lab, words), buttons: [Dialog.okButton({ label: lab.words["dialog.close"] })] });
  }

  /** "run", "switch" or "". */
  async function choose(lab, title, words) {
    const { Dialog, showDialog } = lab.apputils;
    const labels = ["cancel", "switch", "switch_and_run"].map((name) => lab.words[`switch.${name}`]);
    const buttons = [Dialog.cancelButton({ label: labels[0] }), Dialog.okButton({ label: labels[1] }), Dialog.okButton({ label: labels[2] })];
    const { button } = await showDialog({ title, body: body(lab, words), buttons, defaultButton: 0 });
    return ["", "switch", "run"][labels.indexOf(button.label)] || "";
  }

  const containers = (window._JUPYTERLAB = window._JUPYTERLAB || {});
  containers["@civic/lab"] = {
    init: (scope) => { shared = scope; },
    get: (name) => (name === "./extension" ? extension() : Promise.reject(new Error(name))),
  };
})();
