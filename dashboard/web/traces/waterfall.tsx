// The waterfall: a line for each span, below the one that caused it, with a bar for when it was. Only the lines in sight are there.
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { tint } from "../shell/color";
import { duration, plural, short } from "../shell/format";
import { Icon } from "../shell/icons";
import { useKeys } from "../shell/keys";
import { useVisible } from "../shell/list";
import { memo } from "../shell/memo";
import type { Zoom } from "./minimap";
import type { Tree } from "./tree";

const height = 26;

type Props = {
  tree: Tree;
  rows: number[]; // spans that are not below a closed one
  zoom: Zoom;
  selected: number; // index of a span; -1: none
  closed: Set<string>;
  found: Set<number>; // by the search
  critical: boolean; // is shown
  onSelect: (i: number) => void;
  onToggle: (i: number) => void;
};

function Ruler({ tree, zoom }: { tree: Tree; zoom: Zoom }) {
  const marks = [0, 0.25, 0.5, 0.75];
  return (
    <div class="wf-head">
      <div class="wf-name">Span</div>
      <div class="wf-time" aria-hidden="true">
        {marks.map((m) => (
          <span key={m} class="num" style={{ left: `${m * 100}%` }}>
            {zoom[0] === 0 && m === 0 ? "0" : duration((zoom[0] + (zoom[1] - zoom[0]) * m) * tree.length)}
          </span>
        ))}
      </div>
    </div>
  );
}

type LineProps = { tree: Tree; i: number; from: number; to: number; active: boolean; open: boolean; found: boolean; critical: boolean };

// What is clicked on is found out by the list: so nothing that a line is given changes while it is scrolled.
const Line = memo(function Line({ tree, i, from: begin, to: end, active, open, found, critical }: LineProps) {
  const s = tree.spans[i]!;
  const below = tree.end[i]! - i - 1;
  const scale = 1 / ((end - begin) * tree.length);
  const at = (ns: number) => (ns - begin * tree.length) * scale * 100;
  const a = at(tree.start[i]!);
  const b = at(tree.start[i]! + s.duration);
  const from = Math.max(-1, a);
  const width = Math.max(0, Math.min(101, b) - from);
  const seen = b >= 0 && a <= 100;
  const bad = s.status === "error";
  const code = s.status === "refused" ? " " + s.code : "";
  const logs = tree.logs.get(s.span_id) ?? [];
  const kind = s.gap ? "gap" : bad ? "bad" : "";
  const edge = code ? 60 : 82;
  const label = b > edge && from > 100 - edge ? "before" : b > edge ? "inside" : "after";
  const name = s.running ? "running" : s.gap ? "not recorded" : short(s.name);
  return (
    <div
      id={`span-${i}`}
      role="treeitem"
      aria-level={s.depth + 1}
      aria-expanded={below ? open : undefined}
      aria-selected={active}
      class={`wf-row ${active ? "active" : ""} ${kind} ${found ? "found" : ""} ${critical && !s.critical ? "beside" : ""}`}
      data-span={i}
    >
      <div class="wf-name" style={{ paddingLeft: `${8 + Math.min(s.depth, 24) * 14}px` }}>
        {below > 0 ? (
          <span class="wf-caret" data-toggle>
            <Icon name={open ? "down" : "right"} size={11} />
          </span>
        ) : (
          <span class="wf-caret" />
        )}
        {!s.gap && <span class="swatch" style={tint(s.service)} />}
        <span class="wf-service">{s.service}</span>
        <span class="wf-span">{name}</span>
        {bad && <Icon name="bad" size={12} />}
        {!open && below > 0 && <span class="wf-more num">+{below}</span>}
      </div>
      <div class="wf-time">
        {seen && (
          <>
            <span class={`wf-bar ${critical && s.critical ? "critical" : ""}`} style={{ ...tint(s.service), left: `${from}%`, width: `max(2px, ${width}%)` }} />
            {logs.slice(0, 40).map((l) => {
              const x = at(tree.when(l.time));
              return x >= 0 && x <= 100 && <i key={l.id} class={`wf-log ${(l.severity ?? 0) >= 17 ? "bad" : (l.severity ?? 0) >= 13 ? "warn" : ""}`} style={{ left: `${x}%` }} title={l.message} />;
            })}
            <span class={`wf-took num ${label}`} style={label === "before" ? { right: `${100 - from}%` } : label === "inside" ? { right: `${Math.max(0, 100 - b)}%` } : { left: `${Math.max(b, 0)}%` }}>
              {duration(s.duration) + code}
            </span>
          </>
        )}
      </div>
      <span class="away">{`${s.gap ? "" : ", " + s.kind}${bad ? ", failed" : ""}${logs.length ? `, ${plural(logs.length, "line")} of logs` : ""}${critical && s.critical ? ", on the critical path" : ""}`}</span>
    </div>
  );
});

/** Waterfall is moved through by the arrow keys, as a tree is. */
export function Waterfall(p: Props) {
  const { rows, tree, selected } = p;
  const box = useRef<HTMLDivElement>(null);
  const { first, last } = useVisible(box, rows.length, height, 10);
  const place = rows.indexOf(selected);
  const inSight = (index: number) => {
    const el = box.current;
    if (!el || index < 0) return;
    const y = index * height;
    if (y < el.scrollTop) el.scrollTop = Math.max(0, y - height);
    else if (y + 2 * height > el.scrollTop + el.clientHeight) el.scrollTop = y + 2 * height - el.clientHeight;
  };
  useEffect(() => inSight(place), [selected]);
  const move = (to: number) => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    if (rows[index] !== undefined) p.onSelect(rows[index]!);
  };
  const page = () => Math.max(1, Math.floor((box.current?.clientHeight ?? 400) / height) - 2);
  const right = () => {
    const s = tree.spans[selected];
    if (!s) return;
    if (p.closed.has(s.span_id)) p.onToggle(selected);
    else if (tree.end[selected]! > selected + 1) move(place + 1);
  };
  const back = () => {
    const s = tree.spans[selected];
    if (!s) return;
    if (!p.closed.has(s.span_id) && tree.end[selected]! > selected + 1) p.onToggle(selected);
    else if (s.parent >= 0) p.onSelect(s.parent);
  };
  useKeys(
    [
      { keys: "j", what: "next span", group: "This page", run: () => move(place + 1) },
      { keys: "k", what: "span before", group: "This page", run: () => move(place - 1) },
    ],
    [place, rows],
  );
  const lines = [];
  for (let r = first; r < last; r++) {
    const i = rows[r]!;
    lines.push(<Line key={i} tree={tree} i={i} from={p.zoom[0]} to={p.zoom[1]} active={i === selected} open={!p.closed.has(tree.spans[i]!.span_id)} found={p.found.has(i)} critical={p.critical} />);
  }
  return (
    <div class="waterfall">
      <Ruler tree={tree} zoom={p.zoom} />
      <div
        ref={box as RefObject<HTMLDivElement>}
        class="wf-rows"
        role="tree"
        aria-label={`${plural(tree.spans.length, "span")} of the trace`}
        aria-activedescendant={place >= first && place < last ? `span-${selected}` : undefined}
        tabIndex={0}
        onClick={(e) => {
          const el = e.target as Element;
          const i = Number(el.closest<HTMLElement>("[data-span]")?.dataset.span ?? -1);
          if (i >= 0) el.closest("[data-toggle]") ? p.onToggle(i) : p.onSelect(i);
        }}
        onKeyDown={(e) => {
          const keys: Record<string, () => void> = {
            ArrowDown: () => move(place + 1),
            ArrowUp: () => move(place - 1),
            ArrowRight: right,
            ArrowLeft: back,
            Home: () => move(0),
            End: () => move(rows.length - 1),
            PageDown: () => move(place + page()),
            PageUp: () => move(place - page()),
            " ": () => selected >= 0 && p.onToggle(selected),
          };
          const run = keys[e.key];
          if (!run || e.ctrlKey || e.metaKey || e.altKey) return;
          e.preventDefault();
          e.stopPropagation();
          run();
        }}
      >
        <div role="presentation" style={{ height: `${rows.length * height}px` }}>
          <div role="presentation" style={{ transform: `translateY(${first * height}px)` }}>
            {lines}
          </div>
        </div>
      </div>
    </div>
  );
}
