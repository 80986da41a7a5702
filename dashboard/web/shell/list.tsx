// Lists of any length: only the rows that are seen are there.
import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** Range is which rows of a long list to show: from including first to before last. */
export interface Range {
  first: number;
  last: number;
}

/** useVisible tells which rows of height px are within the scrolled element, with some more on both sides. */
export function useVisible(scroller: RefObject<HTMLElement | null>, rows: number, height: number, more = 12): Range {
  const [range, setRange] = useState<Range>({ first: 0, last: Math.min(rows, 60) });
  useLayoutEffect(() => {
    const el = scroller.current;
    if (!el) return;
    const look = () => {
      const first = Math.max(0, Math.floor(el.scrollTop / height) - more);
      const last = Math.min(rows, Math.ceil((el.scrollTop + el.clientHeight) / height) + more);
      setRange((r) => (r.first === first && r.last === last ? r : { first, last }));
    };
    look();
    el.addEventListener("scroll", look, { passive: true });
    const sizes = new ResizeObserver(look);
    sizes.observe(el);
    return () => {
      el.removeEventListener("scroll", look);
      sizes.disconnect();
    };
  }, [rows, height, more]);
  return { first: Math.min(range.first, rows), last: Math.min(Math.max(range.last, 0), rows) };
}

type ListProps = {
  count: number;
  height: number; // of a row, in pixels
  render: (index: number) => ComponentChildren;
  label: string;
  tail?: boolean; // stays at the end as rows come, unless the reader scrolled up
  onTail?: (atEnd: boolean) => void;
  scroller?: RefObject<HTMLDivElement | null>; // to scroll it from outside
  class?: string;
};

/** List is a scrolled list of rows that have one height; 100,000 and more are smooth. Rows are told their place by render. */
export function List({ count, height, render, label, tail, onTail, scroller, class: extra }: ListProps) {
  const own = useRef<HTMLDivElement>(null);
  const ref = scroller ?? own;
  const { first, last } = useVisible(ref, count, height);
  const stuck = useRef(true);
  useLayoutEffect(() => {
    if (tail && stuck.current && ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [count, tail]);
  const rows = [];
  for (let i = first; i < last; i++) rows.push(render(i));
  return (
    <div
      ref={ref}
      class={`list ${extra ?? ""}`}
      role="list"
      aria-label={label}
      tabIndex={0}
      onScroll={(e) => {
        const el = e.currentTarget;
        const end = el.scrollHeight - el.scrollTop - el.clientHeight < height * 2;
        if (end !== stuck.current) {
          stuck.current = end;
          onTail?.(end);
        }
      }}
    >
      <div class="list-space" style={{ height: `${count * height}px` }}>
        <div class="list-rows" style={{ transform: `translateY(${first * height}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
