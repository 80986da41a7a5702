// What the search field offers for the word that is being written: fields, services, attributes and their values.
import { get } from "../shell/api";
import { services } from "../shell/system";

interface Keys {
  keys: { key: string; count: number; values: { value: string; count: number }[] }[];
}

const fields: Record<string, string[]> = {
  "service:": [],
  "status:": ["error", "refused", "ok", "unset"],
  "kind:": ["server", "client", "internal", "producer", "consumer"],
  "duration>": ["1ms", "10ms", "100ms", "1s"],
  "duration<": ["1ms", "10ms", "100ms", "1s"],
  "method:": [],
  "level:": ["debug", "info", "warn", "error"],
};

// quoted writes a value so that it is one word of the grammar.
function quoted(v: string): string {
  return /^[^\s"/,*][^\s",*]*$/.test(v) ? v : '"' + v.replace(/(["\\])/g, "\\$1") + '"';
}

/** suggest offers what could stand in place of the last word. */
export async function suggest(signal: "spans" | "logs", line: string): Promise<string[]> {
  const word = /\S*$/.exec(line)![0];
  const minus = word.startsWith("-") ? "-" : "";
  const bare = word.slice(minus.length);
  const m = /^(@?[A-Za-z_][\w.\-/]*)(:|=|>=?|<=?)(.*)$/.exec(bare);
  try {
    if (m) {
      const [, key = "", op = "", value = ""] = m;
      const known = key === "service" ? services.value.map((s) => s.name) : (fields[key + op] ?? fields[key + ":"]);
      if (known?.length) return known.filter((v) => v.startsWith(value) && v !== value).map((v) => minus + key + op + quoted(v));
      const name = key === "method" ? "rpc.method" : key.replace(/^@/, "");
      const found = await get<Keys>("attributes", { signal, key: name, value: value.replace(/^"|"$/g, ""), limit: 12 });
      return (found.keys[0]?.values ?? []).map((v) => minus + key + op + quoted(v.value));
    }
    const own = Object.keys(fields).filter((f) => f.startsWith(bare) && (signal === "spans" ? f !== "level:" : f === "service:" || f === "level:"));
    if (!bare) return own.map((f) => minus + f);
    const found = await get<Keys>("attributes", { signal, prefix: bare, limit: 12 });
    return [...own, ...found.keys.map((k) => k.key + ":")].map((f) => minus + f);
  } catch {
    return []; // it is an offer, no more
  }
}
