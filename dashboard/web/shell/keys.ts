// The keyboard. A key is written as people do: "?", "/", "j", "ctrl+k", or two in a row: "g t".
import { useEffect } from "preact/hooks";

export interface Key {
  keys: string;
  what: string; // for the help: "go to the traces"
  group: string; // for the help: "This page"
  run: (e: KeyboardEvent) => void;
  hidden?: boolean; // not in the help
}

const bound = new Set<Key>();

/** bind makes keys work until the function that it returns is called. The last one bound wins. */
export function bind(...keys: Key[]): () => void {
  for (const k of keys) bound.add(k);
  return () => keys.forEach((k) => bound.delete(k));
}

/** useKeys binds keys while a component is there. */
export function useKeys(keys: Key[], deps: unknown[] = []): void {
  useEffect(() => bind(...keys), deps);
}

/** known lists keys for the help, by group. */
export function known(): Map<string, Key[]> {
  const groups = new Map<string, Key[]>();
  for (const k of bound) {
    if (k.hidden) continue;
    const list = groups.get(k.group) ?? [];
    if (!list.some((other) => other.keys === k.keys)) list.push(k);
    groups.set(k.group, list);
  }
  return groups;
}

/** typing: the key belongs to a field that is written in. */
export function typing(e: Event): boolean {
  const t = e.target;
  return t instanceof HTMLElement && (t.isContentEditable || t instanceof HTMLInputElement || t instanceof HTMLTextAreaElement || t instanceof HTMLSelectElement);
}

function name(e: KeyboardEvent): string {
  const k = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  return (e.ctrlKey || e.metaKey ? "ctrl+" : "") + (e.shiftKey && e.key.length > 1 ? "shift+" : "") + k;
}

let first = "";
let timer = 0;

addEventListener("keydown", (e) => {
  if (e.defaultPrevented || e.altKey || e.isComposing) return;
  const key = name(e);
  const field = typing(e);
  if (field && !key.startsWith("ctrl+") && key !== "Escape") return;
  if (document.querySelector("dialog[open]") && key !== "ctrl+k") return;
  const both = first ? first + " " + key : "";
  first = "";
  clearTimeout(timer);
  const all = [...bound].reverse();
  const hit = all.find((k) => k.keys === both) ?? all.find((k) => k.keys === key);
  if (hit) {
    e.preventDefault();
    hit.run(e);
    return;
  }
  if (!field && all.some((k) => k.keys.startsWith(key + " "))) {
    first = key;
    timer = window.setTimeout(() => (first = ""), 1200);
  }
});
