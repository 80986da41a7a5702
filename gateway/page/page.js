// The page at /docs: it shows the document beside it, and makes calls.
import { h, icon, copyButton } from "./dom.js";
import { markdown, inline } from "./markdown.js";
import { Model, media, typeName } from "./model.js";
import { tree } from "./tree.js";
import { panel } from "./try.js";

const $ = (id) => document.getElementById(id);
const main = $("main"), list = $("list"), search = $("search");
let model;

const streams = { server: "answers are a stream", client: "requests are a stream", both: "both ways are streams" };
const idempotency = { NO_SIDE_EFFECTS: ["safe", "It changes nothing, and may be called again at any time."], IDEMPOTENT: ["idempotent", "Calling it again has no further effect."] };

function verb(route) {
  return h("span.verb", { "data-verb": route.verb }, route.verb);
}

function badge(method) {
  if (method.stream) return h("span.verb", { "data-verb": "STREAM" }, { server: "↓", client: "↑", both: "⇅" }[method.stream]);
  return verb(method.routes[0]);
}

const anchor = (method) => "#" + method.id;

// The list of methods

function drawList() {
  list.replaceChildren(...model.services.map((s) => h("section", { "data-service": s.name },
    h("h2", { title: s.name }, s.short, h("small", null, s.name.slice(0, -s.short.length - 1))),
    h("ul", null, s.methods.map((m) => h("li", null, h(m.deprecated ? "a.deprecated" : "a", { href: anchor(m), "data-id": m.id, title: m.summary },
      badge(m), h("span.label", null, m.name))))))));
  if (!model.services.length) list.append(h("p.none", null, "There are no services."));
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const section of list.querySelectorAll("section")) {
    let here = false;
    for (const a of section.querySelectorAll("a")) {
      const m = model.methods.get(a.dataset.id);
      const text = [m.id, m.summary, ...m.routes.map((r) => r.verb + " " + r.path)].join(" ").toLowerCase();
      const hit = words.every((w) => text.includes(w));
      a.parentElement.hidden = !hit;
      here ||= hit;
    }
    section.hidden = !here;
    any ||= here;
  }
  list.querySelector(".nothing")?.remove();
  if (!any && words.length) list.append(h("p.none.nothing", null, `No method has “${search.value.trim()}”.`));
}

const visible = () => [...list.querySelectorAll("a")].filter((a) => !a.closest("[hidden]"));

// The views

function overview() {
  const { info } = model.doc;
  const methods = [...model.methods.values()];
  main.replaceChildren(h("article.overview", null,
    h("h1", null, info.title),
    markdown(info.description, "div.text.lead"),
    h("dl.facts", null,
      h("div", null, h("dt", null, "Address"), h("dd", null, h("code", null, location.origin), copyButton(() => location.origin, "Copy the address"))),
      h("div", null, h("dt", null, "Protocols"), h("dd", null, "Connect, gRPC, gRPC-Web, HTTP with JSON")),
      h("div", null, h("dt", null, "Methods"), h("dd", null, `${methods.length} in ${model.services.length} ${model.services.length === 1 ? "service" : "services"}`))),
    model.services.map((s) => h("section.service", { id: s.name },
      h("h2", null, s.short, h("small", null, s.name)),
      s.text !== info.description && markdown(s.text),
      h("ul.cards", null, s.methods.map((m) => h("li", null, h("a", { href: anchor(m) }, badge(m), h("span.label", null, m.name), h("span.summary", null, inline(m.summary)))))))),
  ));
  document.title = info.title;
}

function methodView(method, selected = 0) {
  const route = method.routes[selected];
  const op = route.op;
  const [level, meaning] = idempotency[method.idempotency] ?? [];
  const sections = [];
  const add = (title, note, ...content) => sections.push(h("section.part", null, h("h2", null, title, note && h("small", null, note)), ...content));

  const parameters = op.parameters ?? [];
  for (const [place, title] of [["path", "Path"], ["query", "Query"]]) {
    const here = parameters.filter((p) => p.in === place);
    if (!here.length) continue;
    add(title, null, h("ul.fields", null, here.map((p) => {
      const schema = p.schema ?? media(p.content).schema;
      const inner = tree(model, { ...schema, description: undefined }, "request");
      const details = schema.$ref && model.resolve(schema).properties
        ? h("details", null, h("summary", null, icon("more"), h("span", null, "its fields")), h("div.inner", null, inner))
        : [...(inner.querySelector(".field")?.children ?? [])].filter((e) => !e.matches(".head"));
      return h("li.field", null, h("div.head", null, h("span.name", null, p.name), h("span.type", null, typeName(model, schema)), p.required && h("span.mark.required", null, "required"), p.deprecated && h("span.mark.deprecated", null, "deprecated")), markdown(p.description), details);
    })));
  }
  const request = media(op.requestBody?.content);
  if (request) add("Request", request.type, markdown(op.requestBody.description), request.type === "*/*" ? h("p.none", null, "Any bytes, with their media type.") : tree(model, request.schema, "request"));
  const ok = op.responses["200"];
  const types = Object.keys(ok?.content ?? {});
  if (types.length) add("Answer", types.join(", "), ok.description !== "The answer." && markdown(ok.description), types[0] === "*/*" ? h("p.none", null, "Any bytes, with their media type.") : tree(model, media(ok.content).schema, "answer"));
  const failure = op.responses.default && model.response(op.responses.default);
  if (failure) {
    add("Errors", Object.keys(failure.content).join(", "),
      h("p", null, "An answer with another status is an error, whose ", h("code", null, "code"), " is that of gRPC."),
      h("details", null, h("summary", null, icon("more"), h("span", null, "Fields of an error")), h("div.inner", null, tree(model, failure.content["application/json"].schema, "answer"))));
  }

  const choose = (i) => methodView(method, i);
  main.replaceChildren(h("article.method", null,
    h("div.about", null,
      h("p.crumbs", null, h("a", { href: "#" }, model.doc.info.title), " / ", h("span", null, method.service.name)),
      h("h1", null, method.name, h("a.anchor", { href: anchor(method), "aria-label": "Link to this method" }, icon("link"))),
      h("div.marks", null,
        method.deprecated && h("span.mark.deprecated", null, "deprecated"),
        method.stream && h("span.mark.stream", null, streams[method.stream]),
        level && h("span.mark", { title: meaning }, level)),
      markdown(method.text),
      h("button.jump", { type: "button", onclick: () => main.querySelector(".try").scrollIntoView() }, "Try it"),
      h("ul.routes", { role: "radiogroup", "aria-label": "Route" }, method.routes.map((r, i) => h("li", null,
        h(i === selected ? "button.route.on" : "button.route", { type: "button", role: "radio", "aria-checked": i === selected ? "true" : "false", onclick: () => choose(i) }, verb(r), h("code", null, pathParts(r.path))),
        copyButton(() => r.path, "Copy the path")))),
      sections),
    panel(model, route)));
  document.title = `${method.name} · ${model.doc.info.title}`;
}

/** Renders a path so that it breaks at slashes, with its parameters marked. */
function pathParts(path) {
  return path.split(/(\{[^}]*\})/).map((part, i) => i % 2 ? h("span.parameter", null, part) : part.split(/(?<=[/.])/).flatMap((p) => [p, h("wbr")]));
}

function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  const method = model.methods.get(id);
  for (const a of list.querySelectorAll("a")) a.removeAttribute("aria-current");
  if (method) methodView(method);
  else overview();
  const current = method && list.querySelector(`a[data-id="${CSS.escape(id)}"]`);
  current?.setAttribute("aria-current", "page");
  if (current?.closest("[hidden]")) { // it was searched for, or is elsewhere
    search.value = "";
    filter();
  }
  current?.scrollIntoView({ block: "nearest" });
  drawer(false);
  const section = !method && id && document.getElementById(id);
  if (section) section.scrollIntoView();
  else scrollTo(0, 0);
}

// Drawer, theme, keys

function drawer(open) {
  document.documentElement.classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
  if (open) search.focus({ preventScroll: true });
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("hanse-docs-theme", root.dataset.theme); } catch { /* for this page only */ }
}

function keys(event) {
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (event.target === search) { search.value = ""; filter(); search.blur(); }
    drawer(false);
    return;
  }
  if (event.key === "k" && (event.metaKey || event.ctrlKey) || event.key === "/" && !typing) {
    event.preventDefault();
    if (getComputedStyle($("menu")).display !== "none") drawer(true);
    search.focus();
    search.select();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && (event.target === search || event.target.closest("#list"))) {
    event.preventDefault();
    const all = visible();
    const next = all[all.indexOf(event.target) + step];
    if (next) next.focus();
    else if (step < 0) search.focus();
    return;
  }
  if (event.key === "Enter" && event.target === search) {
    const first = visible()[0];
    search.value = "";
    filter();
    first?.click();
    return;
  }
  if (!typing && !event.metaKey && !event.ctrlKey && !event.altKey) {
    if (event.key === "t") switchTheme();
    if (event.key === "j" || event.key === "k") {
      const all = visible(), at = all.findIndex((a) => a.hasAttribute("aria-current"));
      all[event.key === "j" ? at + 1 : Math.max(0, at - 1)]?.click();
    }
  }
}

async function load() {
  try {
    const response = await fetch(new URL("openapi.json", new URL(".", location.href)), { cache: "no-cache" });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    model = new Model(await response.json());
  } catch (e) {
    main.replaceChildren(h("article.overview", null, h("h1", null, "No document"), h("p", null, `openapi.json cannot be read: ${e.message}`)));
    return;
  }
  $("title").textContent = model.doc.info.title;
  if (model.doc.info.version !== "0") $("version").textContent = model.doc.info.version;
  drawList();
  addEventListener("hashchange", route);
  search.addEventListener("input", filter);
  route();
}

addEventListener("keydown", keys);
$("theme").addEventListener("click", switchTheme);
$("menu").addEventListener("click", () => drawer(!document.documentElement.classList.contains("open")));
$("veil").addEventListener("click", () => drawer(false));
load();
