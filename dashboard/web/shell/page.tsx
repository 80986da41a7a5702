// What a page is, and the frame that all pages have.
import type { ComponentChildren, ComponentType } from "preact";
import { Segments } from "./controls";
import type { IconName } from "./icons";
import { param, setParams } from "./router";

/** Page is an entry of the list of pages. */
export interface Page {
  title: string;
  path: RegExp; // of the address; its groups are the arguments of the component
  component: ComponentType<{ args: string[] }>;
  nav?: string; // where the navigation leads; none: it is no part of it
  icon?: IconName;
  keys?: string; // that lead there, such as "g t"
  needs?: string; // shown only if the server names this page: there is something behind it
}

/** Frame is a page's heading, its controls and its content. With fill the content has the height of the window and scrolls itself. */
export function Frame({ title, note, actions, children, fill }: { title: ComponentChildren; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; fill?: boolean }) {
  return (
    <div class={`frame${fill ? " fill" : ""}`}>
      <header class="frame-head">
        <div class="frame-title">
          <h1>{title}</h1>
          {note && <span class="note">{note}</span>}
        </div>
        {actions && <div class="frame-actions">{actions}</div>}
      </header>
      <div class="frame-body">{children}</div>
    </div>
  );
}

export const windows = ["1m", "5m", "15m", "1h", "6h"] as const;

/** timeWindow is how far back the view looks, as the address says. */
export function timeWindow(fallback = "5m"): string {
  const w = param("window", fallback);
  return /^\d+[smhd]$/.test(w) ? w : fallback;
}

/** seconds of a window. */
export function seconds(w: string): number {
  const unit = { s: 1, m: 60, h: 3600, d: 86400 }[w.slice(-1)] ?? 60;
  return parseInt(w, 10) * unit;
}

/** Window chooses how far back the view looks. */
export function Window({ fallback = "5m", options = windows as readonly string[] }: { fallback?: string; options?: readonly string[] }) {
  const now = timeWindow(fallback);
  const list = options.includes(now) ? options : [...options, now];
  return <Segments label="how far back" value={now} options={list.map((w) => ({ value: w, text: w }))} onChange={(w) => setParams({ window: w === fallback ? "" : w })} />;
}
