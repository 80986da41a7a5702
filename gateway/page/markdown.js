// Renders the Markdown that comments use: paragraphs, lists, code, emphasis, links. What else there is stays as it was written.
import { h } from "./dom.js";

/** Renders text as an element, or null if there is none. */
export function markdown(text, name = "div.text") {
  if (!text) return null;
  const out = h(name);
  const lines = text.split("\n");
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    if (!line.trim()) { i++; continue; }
    if (/^\s*```/.test(line)) {
      const code = [];
      for (i++; i < lines.length && !/^\s*```/.test(lines[i]); i++) code.push(lines[i]);
      i++;
      out.append(h("pre", null, h("code", null, code.join("\n"))));
      continue;
    }
    if (/^( {4}|\t)/.test(line)) {
      const code = [];
      for (; i < lines.length && (/^( {4}|\t)/.test(lines[i]) || (!lines[i].trim() && /^( {4}|\t)/.test(lines[i + 1] ?? ""))); i++) code.push(lines[i].replace(/^( {4}|\t)/, ""));
      out.append(h("pre", null, h("code", null, code.join("\n"))));
      continue;
    }
    const heading = /^(#{1,4})\s+(.*)$/.exec(line);
    if (heading) {
      out.append(h("h4", null, inline(heading[2])));
      i++;
      continue;
    }
    const marker = /^\s*([-*]|\d+[.)])\s+/;
    if (marker.test(line)) {
      const list = h(/^\s*\d/.test(line) ? "ol" : "ul");
      while (i < lines.length && marker.test(lines[i])) {
        let item = lines[i++].replace(marker, "");
        while (i < lines.length && /^\s+\S/.test(lines[i]) && !marker.test(lines[i])) item += " " + lines[i++].trim();
        list.append(h("li", null, inline(item)));
      }
      out.append(list);
      continue;
    }
    const words = [];
    while (i < lines.length && lines[i].trim() && !marker.test(lines[i]) && !/^\s*```/.test(lines[i])) words.push(lines[i++].trim());
    out.append(h("p", null, inline(words.join(" "))));
  }
  return out;
}

const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?!\w)|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>()]*[^\s<>().,;:!?'"])/g;

/** Renders what is within a line. */
export function inline(text) {
  const parts = [];
  let end = 0;
  for (const m of text.matchAll(pattern)) {
    parts.push(text.slice(end, m.index));
    end = m.index + m[0].length;
    if (m[1] !== undefined) parts.push(h("code", null, m[1]));
    else if (m[2] !== undefined) parts.push(h("strong", null, m[2]));
    else if (m[3] !== undefined) parts.push(h("em", null, m[3]));
    else parts.push(h("a", { href: m[5] ?? m[6], rel: "noreferrer noopener", target: "_blank" }, m[4] ?? m[6]));
  }
  parts.push(text.slice(end));
  return parts.filter((p) => p !== "");
}
