// The address holds all state of a view: its path says which page, its query what the page shows. Reload, back and a link that is
// sent to somebody lead to the same view.
import { computed, signal } from "@preact/signals";

const url = signal(new URL(window.location.href));

/** The path of the view, such as /traces/4bf92f35. */
export const path = computed(() => url.value.pathname);
/** The query of the view. */
export const query = computed(() => url.value.searchParams);

addEventListener("popstate", () => (url.value = new URL(window.location.href)));

/** href makes an address. Parameters that are empty are left out. */
export function href(to: string, params: Record<string, string | number | undefined> = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== "") q.set(k, String(v));
  const text = q.toString();
  return text ? to + "?" + text : to;
}

/** go shows another view. With replace, back does not return to this one. */
export function go(to: string, replace = false): void {
  const next = new URL(to, url.value);
  if (next.href === url.value.href) return;
  const elsewhere = next.pathname !== url.value.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  url.value = next;
  if (elsewhere) document.getElementById("main")?.scrollTo(0, 0);
}

/** param is the value of a parameter of the view. */
export function param(name: string, fallback = ""): string {
  return query.value.get(name) ?? fallback;
}

/** setParams changes parameters of this view; empty ones are removed. By default back does not return to what was before. */
export function setParams(changes: Record<string, string | number | undefined>, push = false): void {
  const next = new URL(url.value);
  for (const [k, v] of Object.entries(changes)) {
    if (v === undefined || v === "") next.searchParams.delete(k);
    else next.searchParams.set(k, String(v));
  }
  go(next.href, !push);
}

/** follow makes links within the page cheap. All others, and clicks that open windows, are the browser's. */
export function follow(e: MouseEvent): void {
  if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  const a = (e.target as Element | null)?.closest?.("a");
  if (!a || a.target || a.hasAttribute("download") || a.origin !== window.location.origin) return;
  if (a.pathname.startsWith("/api/") || a.pathname.startsWith("/assets/")) return;
  e.preventDefault();
  go(a.href);
}
