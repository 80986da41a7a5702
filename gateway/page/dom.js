// Small helpers over the DOM. Text from the document is only ever set as text, never as HTML.

/** Makes an element: h("a.link", {href: "#", onclick: f}, "text", child, null). */
export function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const e = document.createElement(tag || "div");
  if (classes.length) e.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key in e && key !== "list" && typeof value !== "string") e[key] = value;
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

const shapes = {
  copy: "M5.500 5.500v-2a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-2M3.500 5.500h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1z",
  done: "m3.500 8.500 3 3 6-7",
  link: "M6.500 9.500l3-3M7 4.500l1.500-1.500a2.800 2.800 0 0 1 4 4L11 8.500M9 11.500 7.500 13a2.800 2.800 0 0 1-4-4L5 7.500",
  more: "m6 4 4 4-4 4",
  plus: "M8 3.500v9M3.500 8h9",
  cross: "m4.500 4.500 7 7m0-7-7 7",
};

/** Makes an icon. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", shapes[name]);
  svg.append(path);
  return svg;
}

/** Makes a button that copies what text() returns. */
export function copyButton(text, label = "Copy") {
  const button = h("button.icon.copy", { type: "button", "aria-label": label, title: label }, icon("copy"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch { // no permission, or no secure context
      const area = h("textarea.offscreen", { readonly: true });
      area.value = text();
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.replaceChildren(icon("done"));
    button.classList.add("done");
    toast("Copied");
    setTimeout(() => { button.replaceChildren(icon("copy")); button.classList.remove("done"); }, 1200);
  });
  return button;
}

let hide;

/** Says something for a moment, also to screen readers. */
export function toast(text) {
  const e = document.getElementById("toast");
  e.textContent = text;
  e.classList.add("on");
  clearTimeout(hide);
  hide = setTimeout(() => e.classList.remove("on"), 1400);
}

/** Makes tabs: entries are [label, make()], of which one is shown. remember(label) is told which. */
export function tabs(entries, selected, remember = () => {}) {
  const panel = h("div.panel", { role: "tabpanel" });
  const buttons = entries.map(([label, make]) => h("button", { type: "button", role: "tab", onclick: () => show(label) }, label));
  function show(label) {
    const i = Math.max(0, entries.findIndex(([l]) => l === label));
    buttons.forEach((b, n) => { b.setAttribute("aria-selected", n === i); b.tabIndex = n === i ? 0 : -1; });
    panel.replaceChildren(entries[i][1]());
    remember(entries[i][0]);
  }
  const bar = h("div.tabs", {
    role: "tablist",
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = buttons.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      const next = buttons[(at + step + buttons.length) % buttons.length];
      next.focus();
      next.click();
    },
  }, buttons);
  show(selected ?? entries[0][0]);
  return { bar, panel, show };
}
