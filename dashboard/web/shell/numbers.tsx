// How numbers of calls are shown, the same on all pages: what failed, what was refused, and streams, whose time is no latency.
import { percent, rate } from "./format";
import type { Column } from "./table";
import type { Numbers } from "./types";

/** tone says how calls do: by the share of those that fail. */
export function tone(n: Numbers): "" | "warn" | "bad" {
  if (n.errors <= 0 || n.calls <= 0) return "";
  return n.errors / n.calls >= 0.01 ? "bad" : "warn";
}

/** failed is the share of calls that failed. */
export const failed = (n: Numbers): number => (n.calls ? n.errors / n.calls : 0);

/** refused is the share of calls that ended with an error of their caller: NOT_FOUND, 404. */
export const refused = (n: Numbers): number => (n.calls ? (n.client_errors ?? 0) / n.calls : 0);

/** streams says how many are open, and how many end. */
export function streams(n: Numbers): string {
  return [n.open ? `${n.open} open` : "", n.streams ? rate(n.streams) : ""].filter(Boolean).join(", ");
}

/** Failed is that share as a cell. */
export function Failed({ of }: { of: Numbers | undefined }) {
  if (!of?.calls) return <span class="quiet-text">–</span>;
  const t = tone(of);
  return <span class={t ? t + "-text" : "quiet-text"}>{percent(failed(of))}</span>;
}

/** more are columns for what only some rows have: client errors and streams. */
export function more<T>(rows: T[], of: (row: T) => Numbers | undefined): Column<T>[] {
  const some = (f: (n: Numbers) => number | undefined) => rows.some((r) => f(of(r) ?? { calls: 0, errors: 0, p50: 0, p95: 0, p99: 0 }));
  const list: Column<T>[] = [];
  if (some((n) => n.client_errors))
    list.push({
      id: "refused",
      title: "Client err.",
      end: true,
      width: "78px",
      narrow: "hide",
      value: (r) => refused(of(r) ?? ({} as Numbers)),
      render: (r) => <span class="quiet-text" title="answered with an error of the caller, such as NOT_FOUND or 404">{of(r)?.client_errors ? percent(refused(of(r)!)) : "–"}</span>,
    });
  if (some((n) => n.streams || n.open))
    list.push({
      id: "streams",
      title: "Streams",
      end: true,
      width: "minmax(66px, 110px)",
      narrow: "hide",
      value: (r) => of(r)?.open,
      render: (r) => <span class="quiet-text" title="streaming calls; how long they take is no latency">{streams(of(r) ?? ({} as Numbers)) || "–"}</span>,
    });
  return list;
}
