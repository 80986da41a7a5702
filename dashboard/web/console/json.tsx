// JSON for people: indented, with colours that say what is what, and the digits of numbers as they came.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

/** indent lays JSON out, without reading its numbers: JSON.parse would change those beyond 2^53. */
export function indent(json: string): string {
  try {
    JSON.parse(json);
  } catch {
    return json;
  }
  let out = "";
  let depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  for (let i = 0; i < json.length; i++) {
    const c = json[i]!;
    if (c === '"') {
      const from = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === "\\") i++;
      out += json.slice(from, i + 1);
    } else if (c === "{" || c === "[") {
      const end = /^\s*[}\]]/.exec(json.slice(i + 1));
      if (end) {
        out += c + json[i + end[0].length];
        i += end[0].length;
      } else {
        depth++;
        out += c + line();
      }
    } else if (c === "}" || c === "]") {
      depth--;
      out += line() + c;
    } else if (c === ",") out += c + line();
    else if (c === ":") out += ": ";
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}

const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;
const mostColoured = 200_000;

/** Json shows JSON. */
export function Json({ text, label }: { text: string; label?: string }) {
  const parts = useMemo(() => {
    const laid = indent(text);
    if (laid.length > mostColoured) return laid;
    const list: ComponentChildren[] = [];
    let last = 0;
    for (const m of laid.matchAll(tokens)) {
      if (m.index > last) list.push(laid.slice(last, m.index));
      const cls = m[2] !== undefined ? "j-key" : m[1] !== undefined ? "j-string" : m[3] !== undefined ? "j-word" : "j-number";
      list.push(<span class={cls}>{m[1] ?? m[0]}</span>);
      if (m[2] !== undefined) list.push(m[2]);
      last = m.index + m[0].length;
    }
    list.push(laid.slice(last));
    return list;
  }, [text]);
  return (
    <pre class="json" tabIndex={0} aria-label={label}>
      {parts}
    </pre>
  );
}
