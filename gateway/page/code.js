// JSON in colours: as text to read, and in an editor.
import { h } from "./dom.js";

const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** Returns the parts of a text that is JSON, coloured. Other text stays as it is. */
export function colours(text) {
  const parts = [];
  let end = 0;
  for (const m of text.matchAll(tokens)) {
    if (m.index > end) parts.push(text.slice(end, m.index));
    end = m.index + m[0].length;
    if (m[1] !== undefined) {
      parts.push(h(m[2] !== undefined ? "span.key" : "span.string", null, m[1]));
      if (m[2]) parts.push(m[2]);
    } else {
      parts.push(h(m[3] !== undefined ? "span.number" : "span.word", null, m[0]));
    }
  }
  parts.push(text.slice(end));
  return parts;
}

const most = 200_000; // characters that are coloured

/** Renders text that is, or is not, JSON. */
export function code(text, isJSON = true) {
  return h("pre.code", { tabindex: "0" }, h("code", null, isJSON && text.length < most ? colours(text) : text));
}

/** Renders an editor of JSON. changed(text) is called when it is edited. */
export function editor(text, label, changed) {
  const back = h("pre.code", { "aria-hidden": "true" });
  const area = h("textarea", { spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-label": label, wrap: "off", rows: "1" });
  const box = h("div.editor", null, back, area);
  function paint() {
    back.replaceChildren(h("code", null, area.value.length < most ? colours(area.value) : area.value), "\n");
    area.rows = Math.min(22, Math.max(3, area.value.split("\n").length));
  }
  area.addEventListener("input", () => { paint(); changed(area.value); });
  area.addEventListener("scroll", () => { back.scrollTop = area.scrollTop; back.scrollLeft = area.scrollLeft; });
  box.set = (value) => { area.value = value; paint(); changed(value); };
  area.value = text;
  paint();
  return box;
}

/** Reads a text that has one JSON value behind the other, and throws an error that says where it is wrong. */
export function values(text) {
  const all = [];
  let start = 0;
  while (text.slice(start).trim()) {
    start += text.slice(start).search(/\S/);
    let depth = 0, quoted = false, at = start;
    for (; at < text.length; at++) {
      const c = text[at];
      if (quoted) {
        if (c === "\\") at++;
        else if (c === '"') quoted = false;
      } else if (c === '"') quoted = true;
      else if (c === "{" || c === "[") depth++;
      else if (c === "}" || c === "]") { if (--depth <= 0) { at++; break; } }
      else if (depth === 0 && /\s/.test(c)) break;
    }
    all.push(JSON.parse(text.slice(start, at)));
    start = at;
  }
  return all;
}
