// A trace as rows: what stands below what, when it was, and what of it is open.
import { attr, text, type Log, type Span, type Trace } from "./types";

/** nanos is how long a time is after an origin in whole seconds since 1970. Date has milliseconds only. */
export function nanos(time: string, origin: number): number {
  const m = /^(.*:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  if (!m) return (Date.parse(time) - origin * 1000) * 1e6;
  return (Date.parse(m[1]! + m[3]!) / 1000 - origin) * 1e9 + Number((m[2] ?? "").padEnd(9, "0").slice(0, 9));
}

/** Tree is a trace with what is worked out once. */
export interface Tree {
  trace: Trace;
  spans: Span[];
  start: Float64Array; // of each span, in nanoseconds after the first
  length: number; // of all, in nanoseconds
  end: Int32Array; // index behind the last span below each
  logs: Map<string, Log[]>; // by span
  when: (time: string) => number;
}

/** grow works out what the waterfall needs. */
export function grow(trace: Trace, logs: Log[]): Tree {
  const spans = trace.spans;
  const origin = Math.floor(Date.parse(trace.start) / 1000);
  const n = spans.length;
  const start = new Float64Array(n);
  let first = Infinity;
  let last = -Infinity;
  for (let i = 0; i < n; i++) {
    start[i] = nanos(spans[i]!.start, origin);
    first = Math.min(first, start[i]!);
    last = Math.max(last, start[i]! + spans[i]!.duration);
  }
  if (!n) first = last = 0;
  for (let i = 0; i < n; i++) start[i]! -= first;
  const end = new Int32Array(n);
  const open: number[] = [];
  for (let i = 0; i <= n; i++) {
    const depth = i < n ? spans[i]!.depth : -1;
    while (open.length && spans[open[open.length - 1]!]!.depth >= depth) end[open.pop()!] = i;
    open.push(i);
  }
  const bySpan = new Map<string, Log[]>();
  for (const l of logs) {
    if (!l.span_id) continue;
    const list = bySpan.get(l.span_id);
    if (list) list.push(l);
    else bySpan.set(l.span_id, [l]);
  }
  return { trace, spans, start, length: Math.max(1, last - first), end, logs: bySpan, when: (t) => nanos(t, origin) - first };
}

/** shown lists the spans that are not below a closed one. */
export function shown(t: Tree, closed: Set<string>): number[] {
  const rows: number[] = [];
  for (let i = 0; i < t.spans.length; ) {
    rows.push(i);
    i = closed.has(t.spans[i]!.span_id) ? Math.max(t.end[i]!, i + 1) : i + 1;
  }
  return rows;
}

/** alone is how long a span did not wait for those right below it. */
export function alone(t: Tree, i: number): number {
  const from = t.start[i]!;
  const to = from + t.spans[i]!.duration;
  const parts: [number, number][] = [];
  for (let k = i + 1; k < t.end[i]!; k = Math.max(t.end[k]!, k + 1)) {
    const a = Math.max(from, t.start[k]!);
    const b = Math.min(to, t.start[k]! + t.spans[k]!.duration);
    if (b > a) parts.push([a, b]);
  }
  parts.sort((x, y) => x[0] - y[0]);
  let busy = 0;
  let at = from;
  for (const [a, b] of parts) {
    if (b > at) busy += b - Math.max(a, at);
    at = Math.max(at, b);
  }
  return t.spans[i]!.duration - busy;
}

/** matches tells for each span whether all words are in it: in its name, service, status, attributes or logs. */
export function matches(t: Tree, query: string): Set<number> {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Set<number>();
  if (!words.length) return found;
  t.spans.forEach((s, i) => {
    const parts = [s.name, s.service, s.kind, s.status ?? "", s.message ?? "", s.span_id];
    for (const a of s.attrs ?? []) parts.push(a.key + "=" + text(a.value));
    for (const e of s.events ?? []) parts.push(e.name, ...(e.attrs ?? []).map((a) => text(a.value)));
    for (const l of t.logs.get(s.span_id) ?? []) parts.push(l.message);
    const all = parts.join("\n").toLowerCase();
    if (words.every((w) => all.includes(w))) found.add(i);
  });
  return found;
}

/** Body is a message that a call carried, as the program wrote it down. */
export interface Body {
  title: string;
  json: string;
  cut: boolean;
  redacted: boolean;
}

/** bodies are the messages of a span. */
export function bodies(s: Span): Body[] {
  const list: Body[] = [];
  for (const e of s.events ?? []) {
    if (e.name !== "hanse.request" && e.name !== "hanse.response") continue;
    list.push({
      title: e.name === "hanse.request" ? "Request" : "Response",
      json: attr(e.attrs, "hanse.message.body"),
      cut: attr(e.attrs, "hanse.message.cut") === "true",
      redacted: attr(e.attrs, "hanse.message.redacted") === "true",
    });
  }
  return list;
}

/** calls is the method of an RPC and the service that was called; undefined for what is no RPC. */
export function calls(t: Tree, s: Span): { service: string; method: string } | undefined {
  if (!attr(s.attrs, "rpc.system.name") && !attr(s.attrs, "rpc.system")) return undefined;
  const method = attr(s.attrs, "rpc.method") || s.name;
  if (s.kind === "server") return { service: s.service, method };
  const below = t.spans.find((k) => k.parent_id === s.span_id && k.kind === "server");
  const service = below?.service ?? attr(s.attrs, "server.address");
  return service ? { service, method } : undefined;
}
