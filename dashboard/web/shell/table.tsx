// Tables: sorted by a click, with the order in the address, moved through by the keyboard, and of any length.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { useVisible } from "./list";
import { useKeys } from "./keys";
import { go, param, setParams } from "./router";

/** Column is a column of a table of T. */
export interface Column<T> {
  id: string;
  title: string;
  render: (row: T) => ComponentChildren;
  value?: (row: T) => string | number | undefined; // to sort by; without it the column is not sorted
  width?: string; // as grid-template-columns has it; default minmax(0, 1fr)
  end?: boolean; // numbers stand at the right
  narrow?: "hide"; // is not there on narrow screens
}

type TableProps<T> = {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  link?: (row: T) => string; // where a row leads
  sort?: string; // column to sort by where the address says nothing; -id: the largest first
  param?: string; // of the address that keeps the order; default sort
  tone?: (row: T) => string | undefined; // a class of a row
  height?: number; // of a row; default 36
  max?: number; // height of the table in pixels, from which on it scrolls; default: all rows are there up to 200, then 640
  empty?: ComponentChildren;
  active?: string; // id of the row that is shown elsewhere on the page
};

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (a === b) return 0;
  if (a === undefined || Number.isNaN(a)) return -1;
  if (b === undefined || Number.isNaN(b)) return 1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

/** Table shows rows. While the pointer or the focus is in it, rows keep their places though their numbers change. */
export function Table<T>({ label, columns, rows, id, link, sort = "", param: name = "sort", tone, height = 36, max, empty, active }: TableProps<T>) {
  const order = param(name, sort);
  const down = order.startsWith("-");
  const by = columns.find((c) => c.id === order.replace(/^-/, ""));
  const box = useRef<HTMLDivElement>(null);
  const [reading, setReading] = useState(false);
  const places = useRef(new Map<string, number>());
  const sorted = useMemo(() => {
    const list = [...rows];
    if (by?.value) list.sort((a, b) => (down ? -1 : 1) * compare(by.value!(a), by.value!(b)) || compare(id(a), id(b)));
    return list;
  }, [rows, order, columns]);
  const lastOrder = useRef(order);
  let shown = sorted;
  if (reading && lastOrder.current === order && places.current.size) {
    const place = (r: T) => places.current.get(id(r)) ?? Infinity;
    shown = [...sorted].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  }
  lastOrder.current = order;
  places.current = new Map(shown.map((r, i) => [id(r), i]));

  const limit = max ?? (shown.length > 200 ? 640 : undefined);
  const visible = useVisible(box, shown.length, height);
  const { first, last } = limit ? visible : { first: 0, last: shown.length };
  const [at, setAt] = useState(-1);
  useEffect(() => {
    if (at >= shown.length) setAt(shown.length - 1);
  }, [shown.length]);
  const move = (to: number) => {
    const i = Math.max(0, Math.min(shown.length - 1, to));
    setAt(i);
    const el = box.current;
    if (el && limit) {
      const top = i * height;
      if (top < el.scrollTop) el.scrollTop = top;
      else if (top + height * 2 > el.scrollTop + el.clientHeight) el.scrollTop = top + height * 2 - el.clientHeight;
    }
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${i}"]`)?.focus({ preventScroll: !!limit }));
  };
  useKeys(
    [
      { keys: "j", what: "next row", group: "Tables", run: () => move(at + 1) },
      { keys: "k", what: "row before", group: "Tables", run: () => move(at - 1) },
    ],
    [at, shown.length],
  );
  const template = columns.map((c) => c.width ?? "minmax(0, 1fr)").join(" ");
  const narrow = columns.filter((c) => c.narrow !== "hide").map((c) => c.width ?? "minmax(0, 1fr)").join(" ");
  if (rows.length === 0 && empty) return <>{empty}</>;
  return (
    <div
      ref={box}
      class={`table${limit ? " scrolls" : ""}`}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={{ "--columns": template, "--columns-narrow": narrow, "--row": `${height}px`, maxHeight: limit ? `${limit}px` : "" }}
      onMouseEnter={() => setReading(true)}
      onMouseLeave={() => setReading(false)}
      onFocusCapture={() => setReading(true)}
      onBlurCapture={() => setReading(false)}
    >
      <div class="table-head" role="row">
        {columns.map((c) => {
          const now = by === c;
          return (
            <div key={c.id} role="columnheader" class={`${c.end ? "end" : ""} ${c.narrow ?? ""}`} aria-sort={now ? (down ? "descending" : "ascending") : undefined}>
              {c.value ? (
                <button type="button" onClick={() => setParams({ [name]: now ? (down ? c.id : "-" + c.id) : c.end ? "-" + c.id : c.id })}>
                  {c.title}
                  {now && <Icon name={down ? "down" : "up"} size={11} />}
                </button>
              ) : (
                c.title
              )}
            </div>
          );
        })}
      </div>
      <div class="table-space" role="rowgroup" style={limit ? { height: `${shown.length * height}px` } : {}}>
        <div style={limit ? { transform: `translateY(${first * height}px)` } : {}} role="presentation">
          {shown.slice(first, last).map((row, n) => {
            const i = first + n;
            const to = link?.(row);
            return (
              <div
                key={id(row)}
                role="row"
                aria-rowindex={i + 2}
                data-row={i}
                tabIndex={to ? (i === Math.max(at, 0) ? 0 : -1) : undefined}
                class={`table-row ${to ? "leads" : ""} ${tone?.(row) ?? ""} ${active !== undefined && active === id(row) ? "active" : ""}`}
                onFocus={() => setAt(i)}
                onClick={(e) => {
                  if (!to || (e.target as Element).closest("a, button, input, select") || getSelection()?.toString()) return;
                  if (e.metaKey || e.ctrlKey) open(to, "_blank", "noopener");
                  else go(to);
                }}
                onKeyDown={(e) => {
                  if (e.target !== e.currentTarget) return;
                  if (e.key === "Enter" && to) go(to);
                  else if (e.key === "ArrowDown") (e.preventDefault(), move(i + 1));
                  else if (e.key === "ArrowUp") (e.preventDefault(), move(i - 1));
                  else if (e.key === "Home") (e.preventDefault(), move(0));
                  else if (e.key === "End") (e.preventDefault(), move(shown.length - 1));
                }}
              >
                {columns.map((c) => (
                  <div key={c.id} role="cell" class={`${c.end ? "end" : ""} ${c.narrow ?? ""}`}>
                    {c.render(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
