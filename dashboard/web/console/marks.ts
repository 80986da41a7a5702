// What a trace does not hold: values of fields marked debug_redact, of which a mark stands in the message that it kept.
import { indent } from "./json";
import type { Contracts } from "./types";

const mark = "[redacted]"; // of package internal/redact

/** unmark takes the marks out of a message, so that they are not sent, and says of which fields: card.number. */
export function unmark(json: string, contracts: Contracts, type: string): { text: string; left: string[] } {
  const left: string[] = [];
  if (!json.includes(mark)) return { text: indent(json), left }; // and its numbers have their digits still
  const walk = (v: unknown, path: string, type?: string, map?: string): unknown => {
    if (Array.isArray(v)) return v.filter((one) => one !== mark).map((one, i) => walk(one, `${path}.${i}`, type));
    if (typeof v !== "object" || v === null) return v;
    const next: Record<string, unknown> = {};
    for (const [key, one] of Object.entries(v)) {
      const f = map ? undefined : contracts.messages[type ?? ""]?.fields.find((f) => f.json === key || f.name === key);
      const at = (path && path + ".") + (f?.name ?? key);
      if (one === mark) left.push(at);
      else next[key] = walk(one, at, map ? type : f?.type, f?.map);
    }
    return next;
  };
  try {
    return { text: JSON.stringify(walk(JSON.parse(json), "", type), null, 2), left };
  } catch {
    return { text: json, left };
  }
}
