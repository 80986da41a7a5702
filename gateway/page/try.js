// The panel that makes calls.
import { h, icon, copyButton, tabs } from "./dom.js";
import { code, editor } from "./code.js";
import { media } from "./model.js";
import { example } from "./example.js";
import { bodyType, blank, mistake, send } from "./send.js";
import { curl, hanse, script } from "./commands.js";

const headers = []; // of all calls, while the page is open: {name, value}
const kept = new Map(); // what was put in, by route
let shown = "curl"; // which of the commands

const given = () => headers.filter((x) => x.name.trim()).map((x) => [x.name.trim(), x.value]);

/** Makes the panel for a route. */
export function panel(model, route) {
  const key = route.verb + " " + route.path;
  let input = kept.get(key);
  if (!input) {
    input = begin(model, route);
    kept.set(key, input);
  }
  const refresh = [];
  const update = () => refresh.forEach((f) => f());

  const problem = h("p.problem", { role: "status" });
  const button = h("button.send", { type: "submit" }, "Send", h("kbd", null, navigator.platform.startsWith("Mac") ? "⌘ ↵" : "Ctrl ↵"));
  const answer = h("section.answer", { "aria-label": "Answer" });
  let abort = null;

  const form = h("form", {
    onsubmit: (event) => { event.preventDefault(); if (abort) abort.abort(); else run(); },
    onkeydown: (event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) { event.preventDefault(); if (!abort) run(); } },
  }, parameters(model, route, input, update), body(model, route, input, update), headerRows(update), problem, h("div.actions", null, button));

  refresh.push(() => { problem.textContent = ""; });

  async function run() {
    const wrong = mistake(route, input);
    problem.textContent = wrong;
    if (wrong) return;
    abort = new AbortController();
    button.replaceChildren("Cancel");
    button.classList.add("running");
    const view = answerView(answer);
    try {
      await send(route, input, given(), abort.signal, view);
    } catch (e) {
      view.failed(e.name === "AbortError" ? "Cancelled." : `No answer: ${e.message}.`, e.name === "AbortError");
    } finally {
      abort = null;
      button.replaceChildren("Send", h("kbd", null, navigator.platform.startsWith("Mac") ? "⌘ ↵" : "Ctrl ↵"));
      button.classList.remove("running");
    }
  }

  // What an answer looks like, until there is one.
  const ok = media(route.op.responses["200"]?.content);
  if (ok && ok.type !== "*/*") {
    answer.append(h("div.answer-head", null, h("span.quiet", null, route.method.stream && route.method.stream !== "client" ? "Example of a message" : "Example answer")), code(JSON.stringify(example(model, ok.schema, false), null, 2)));
  }
  return h("aside.try", { "aria-label": "Try it" },
    h("div.card", null, h("div.card-head", null, h("h2", null, "Try it")), form),
    h("div.card", null, answer),
    h("div.card", null, commands(model, route, input, refresh)));
}

/** Returns what is put in to begin with. */
function begin(model, route) {
  const input = blank(route);
  const content = media(route.op.requestBody?.content);
  if (content && content.type !== "*/*") input.body = JSON.stringify(example(model, content.schema, true), null, 2);
  for (const p of route.op.parameters ?? []) {
    if (p.content) input.query[p.name] = JSON.stringify(example(model, media(p.content).schema, true), null, 2);
    if (!route.rest && p.name === "encoding") input.query.encoding = "json";
    if (!route.rest && p.name === "connect") input.query.connect = "v1";
  }
  return input;
}

function parameters(model, route, input, update) {
  const rows = (route.op.parameters ?? []).map((p) => {
    const values = p.in === "path" ? input.path : input.query;
    const s = model.resolve(p.schema ?? {});
    const types = [s.type ?? []].flat();
    const set = (value) => { values[p.name] = value; update(); };
    let field;
    if (p.content) {
      field = editor(values[p.name] ?? "", p.name, set);
    } else if (s.enum || types.includes("boolean")) {
      field = h("select", { name: p.name, onchange: (e) => set(e.target.value) },
        !values[p.name] || !p.required ? h("option", { value: "" }, "–") : null, (s.enum ?? ["true", "false"]).map((v) => h("option", { value: String(v), selected: values[p.name] === String(v) }, String(v))));
    } else {
      const hint = types.includes("array") ? "a, b, …" : s.format === "date-time" ? "2026-01-31T12:00:00Z" : s.examples?.[0] ?? p["x-hanse-form"] ?? "";
      field = h("input", {
        name: p.name, value: values[p.name] ?? "", placeholder: hint, autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-required": p.required ? "true" : null,
        inputmode: types.some((t) => t === "integer" || t === "number") || /int64/.test(s.format) ? "numeric" : null,
        oninput: (e) => set(e.target.value),
      });
    }
    return h(p.content ? "div.row.tall" : "label.row", null, h("span.row-name", null, p.name, p.required && h("span.star", { title: "required" }, "*"), h("small", null, p.in)), field);
  });
  return rows.length ? h("fieldset", null, h("legend", null, "Parameters"), rows) : null;
}

function body(model, route, input, update) {
  const type = bodyType(route);
  if (!type) return null;
  if (type === "*/*") {
    const area = h("textarea.raw", { rows: "3", "aria-label": "Body", spellcheck: "false", oninput: (e) => { input.body = e.target.value; update(); } });
    area.value = input.body;
    return h("fieldset", null, h("legend", null, "Body"), area, h("label.row", null, h("span.row-name", null, "or a file"), h("input", { type: "file", onchange: (e) => { input.file = e.target.files[0] ?? null; update(); } })));
  }
  const many = type === "application/x-ndjson" || /client|both/.test(route.method.stream);
  const content = media(route.op.requestBody.content);
  const status = h("span.editor-status", { role: "status" });
  const check = () => {
    const wrong = mistake({ ...route, op: { ...route.op, parameters: [] } }, input);
    status.textContent = wrong;
    status.classList.toggle("bad", wrong !== "");
  };
  const box = editor(input.body, "Body", (text) => { input.body = text; check(); update(); });
  return h("fieldset", null,
    h("legend", null, many ? "Messages" : "Body"),
    h("div.tools", null,
      many && h("button.small", { type: "button", onclick: () => box.set(input.body.trimEnd() + "\n" + JSON.stringify(example(model, content.schema, true), null, 2)) }, "Add a message"),
      h("button.small", { type: "button", onclick: () => { try { box.set(many ? input.body : JSON.stringify(JSON.parse(input.body), null, 2)); } catch { check(); } } }, "Format"),
      h("button.small", { type: "button", onclick: () => box.set(JSON.stringify(example(model, content.schema, true), null, 2)) }, "Reset")),
    box, status);
}

function headerRows(update) {
  const list = h("div.header-rows");
  const paint = () => list.replaceChildren(...headers.map((x, i) => h("div.header-row", null,
    h("input", { value: x.name, placeholder: "Name", "aria-label": "Name of the header", autocomplete: "off", spellcheck: "false", oninput: (e) => { x.name = e.target.value; update(); } }),
    h("input", { value: x.value, placeholder: "Value", "aria-label": "Value of the header", autocomplete: "off", spellcheck: "false", oninput: (e) => { x.value = e.target.value; update(); } }),
    h("button.icon", { type: "button", "aria-label": "Remove the header", onclick: () => { headers.splice(i, 1); paint(); update(); } }, icon("cross")))));
  paint();
  return h("fieldset", null, list, h("button.small.add", { type: "button", onclick: () => { headers.push({ name: "", value: "" }); paint(); list.lastElementChild.querySelector("input").focus(); } }, icon("plus"), "Add a header"));
}

function commands(model, route, input, refresh) {
  const makers = { curl: () => curl(route, input, given()), "hanse call": () => hanse(model, route, input, given()), JavaScript: () => script(route, input, given()) };
  const entries = Object.entries(makers).filter(([, make]) => make() !== null).map(([label, make]) => [label, () => code(make() ?? "", false)]);
  const view = tabs(entries, entries.some(([l]) => l === shown) ? shown : entries[0][0], (label) => { shown = label; });
  refresh.push(() => view.show(entries.some(([l]) => l === shown) ? shown : entries[0][0]));
  return h("div.commands", null, h("div.answer-head", null, view.bar, copyButton(() => (makers[shown]?.() ?? makers[entries[0][0]]()), "Copy the command")), view.panel);
}

/** Shows an answer in a place, as it comes. */
function answerView(place) {
  let status, response, list, count = 0, begin = performance.now();
  const head = h("div.answer-head", { role: "status" }, h("span.spin"), h("span.quiet", null, "Waiting for the answer"));
  place.replaceChildren(head);

  const took = (ms) => ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
  const size = (n) => n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
  const pill = (good, text) => h(good ? "span.pill.good" : "span.pill.bad", null, text);

  return {
    head(r, ms) {
      response = r;
      status = pill(r.ok, r.status + (r.statusText ? " " + r.statusText : ""));
      head.replaceChildren(status, h("span.quiet", null, took(ms)), h("span.spin"));
    },
    message(text) {
      if (!list) {
        list = h("ol.messages");
        place.append(list);
      }
      count++;
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
      const bottom = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      list.append(h("li", null, h("span.when", null, "+" + took(performance.now() - begin)), code(pretty)));
      while (list.children.length > 500) list.firstChild.remove();
      if (bottom) list.scrollTop = list.scrollHeight;
      head.replaceChildren(status, h("span.quiet", null, `${count} ${count === 1 ? "message" : "messages"}`), h("span.spin"));
    },
    end(result, ms) {
      const failed = result.error !== undefined && result.error !== null;
      const facts = [failed ? pill(false, result.error.code ?? "error") : status, h("span.quiet", null, took(ms)), h("span.quiet", null, size(result.bytes ?? 0))];
      if (count) facts.push(h("span.quiet", null, `${count} ${count === 1 ? "message" : "messages"}`));
      let text = result.text, json = false;
      try { if (text) { text = JSON.stringify(JSON.parse(text), null, 2); json = true; } } catch { /* shown as it is */ }
      const entries = [["Answer", () => {
        const out = h("div");
        if (list) out.append(list);
        if (failed) out.append(code(JSON.stringify(result.error, null, 2)));
        else if (result.blob) out.append(blobView(result.blob));
        else if (text) out.append(code(text, json));
        else if (!list) out.append(h("p.none", null, "The answer is empty."));
        return out;
      }], ["Headers", () => h("dl.headers", null, [...response.headers].concat(Object.entries(result.trailers ?? {}).flatMap(([k, v]) => v.map((one) => [k, one, true])))
        .map(([name, value, trailer]) => h("div", null, h("dt", null, name, trailer && h("small", null, " trailer")), h("dd", null, value))))]];
      const view = tabs(entries);
      head.replaceChildren(...facts, h("span.grow"), view.bar, text || failed ? copyButton(() => failed ? JSON.stringify(result.error, null, 2) : text, "Copy the answer") : "");
      place.replaceChildren(head, view.panel);
    },
    failed(text, calm) {
      if (list) head.replaceChildren(h(calm ? "span.quiet" : "span.pill.bad", null, text), h("span.quiet", null, `${count} ${count === 1 ? "message" : "messages"}`));
      else place.replaceChildren(h("div.answer-head", null, h(calm ? "span.quiet" : "span.pill.bad", null, text)));
    },
  };
}

function blobView(blob) {
  const url = URL.createObjectURL(blob);
  if (blob.type.startsWith("image/")) return h("div.picture", null, h("img", { src: url, alt: "The answer" }));
  return h("p.none", null, h("a", { href: url, download: "answer" }, `Save the answer (${blob.type || "bytes"})`));
}
