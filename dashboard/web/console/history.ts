// Calls that were made, kept by the browser. Values that look like secrets are left out.
import { signal } from "@preact/signals";

/** Past is a call that was made. */
export interface Past {
  method: string; // SERVICE/package.Contract/Method
  body: string;
  metadata: [string, string][];
  timeout: string;
  at: number; // milliseconds since 1970
  code: string;
  duration: number; // nanoseconds
  trace: string;
}

const place = "hanse-console-history";
const mostCalls = 50;
const mostBody = 16 << 10;
const mostBytes = 256 << 10;

function load(): Past[] {
  try {
    const list = JSON.parse(localStorage.getItem(place) ?? "[]") as Past[];
    return Array.isArray(list) ? list.filter((p) => typeof p.method === "string" && Array.isArray(p.metadata)) : [];
  } catch {
    return [];
  }
}

/** history is the newest first. */
export const history = signal<Past[]>(load());

function store(list: Past[]): void {
  let kept = list.slice(0, mostCalls);
  while (kept.length > 1 && JSON.stringify(kept).length > mostBytes) kept = kept.slice(0, -1);
  history.value = kept;
  try {
    localStorage.setItem(place, JSON.stringify(kept));
  } catch {
    /* it is full, or forbidden: the calls of this page are there still */
  }
}

/** secret: the value of such metadata is not kept. */
export function secret(name: string): boolean {
  return /auth|cookie|token|secret|key|password|credential/i.test(name);
}

/** remember adds a call. */
export function remember(p: Past): void {
  store([{ ...p, body: p.body.slice(0, mostBody), metadata: p.metadata.map(([n, v]) => [n, secret(n) ? "" : v]) }, ...history.value]);
}

/** forget empties the history. */
export function forget(): void {
  store([]);
}
