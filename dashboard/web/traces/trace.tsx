// One trace: its spans as a waterfall, with their logs.
import { useMemo } from "preact/hooks";
import { useQuery } from "../shell/api";
import { Badge, Button, Copy, Search, ServiceName } from "../shell/controls";
import { duration, moment, plural, short } from "../shell/format";
import { useKeys } from "../shell/keys";
import { Frame, type Page } from "../shell/page";
import { param, setParams } from "../shell/router";
import { Empty, Loaded } from "../shell/states";
import { Details, LogLines, Refused } from "./details";
import { Minimap, type Zoom } from "./minimap";
import { grow, matches, shown } from "./tree";
import type { Log, Trace } from "./types";
import { Waterfall } from "./waterfall";
import "./traces.css";

function zoomed(): Zoom {
  const m = /^(0?\.\d+|0)-(0?\.\d+|1)$/.exec(param("zoom"));
  return m && Number(m[1]) < Number(m[2]) ? [Number(m[1]), Number(m[2])] : [0, 1];
}

function View({ trace: t, logs }: { trace: Trace; logs: Log[] }) {
  const tree = useMemo(() => grow(t, logs), [t, logs]);
  const closedText = param("closed");
  const closed = useMemo(() => new Set(closedText.split(",").filter(Boolean)), [closedText]);
  const rows = useMemo(() => shown(tree, closed), [tree, closed]);
  const query = param("q");
  const found = useMemo(() => matches(tree, query), [tree, query]);
  const span = param("span");
  const selected = useMemo(() => tree.spans.findIndex((s) => s.span_id === span), [tree, span]);
  const critical = param("critical") === "1";
  const linesOpen = param("logs") === "1";
  const zoom = zoomed();

  const select = (i: number) => setParams({ span: tree.spans[i]?.span_id });
  const close = (next: Set<string>) => setParams({ closed: [...next].join(",") });
  const reveal = (i: number) => {
    const next = new Set(closed);
    for (let at = tree.spans[i]!.parent; at >= 0; at = tree.spans[at]!.parent) next.delete(tree.spans[at]!.span_id);
    setParams({ span: tree.spans[i]!.span_id, closed: [...next].join(",") });
  };
  const step = (among: number[], by: number) => {
    if (!among.length) return;
    const next = by > 0 ? (among.find((i) => i > selected) ?? among[0]!) : ([...among].reverse().find((i) => i < selected) ?? among[among.length - 1]!);
    reveal(next);
  };
  const hits = [...found];
  const failed = tree.spans.flatMap((s, i) => (s.status === "error" ? [i] : []));
  useKeys(
    [
      { keys: "n", what: "next span that was found", group: "This page", run: (e) => step(hits, e.shiftKey ? -1 : 1) },
      { keys: "e", what: "next span that failed", group: "This page", run: () => step(failed, 1) },
      { keys: "c", what: "critical path", group: "This page", run: () => setParams({ critical: critical ? "" : 1 }) },
      { keys: "l", what: "logs of the trace", group: "This page", run: () => setParams({ logs: linesOpen ? "" : 1 }) },
      { keys: "0", what: "the whole trace", group: "This page", run: () => setParams({ zoom: "" }) },
      { keys: "Escape", what: "close the span", group: "This page", run: () => setParams({ span: "" }) },
    ],
    [tree, selected, query, critical, linesOpen],
  );
  return (
    <>
      <div class="trace-tools">
        <Search label="search spans" placeholder="Search spans: names, attributes, logs" value={query} delay={120} onChange={(v) => setParams({ q: v })} />
        {query && (
          <span class="found-count num" role="status">
            {plural(found.size, "span")}
          </span>
        )}
        {found.size > 0 && (
          <>
            <Button icon="up" label="span found before" onClick={() => step(hits, -1)} />
            <Button icon="down" label="next span that was found (n)" onClick={() => step(hits, 1)} />
          </>
        )}
        <Button pressed={critical} onClick={() => setParams({ critical: critical ? "" : 1 })} title="what the request waited for (c)">
          Critical path
        </Button>
        <Button pressed={linesOpen} icon="logs" disabled={!logs.length} onClick={() => setParams({ logs: linesOpen ? "" : 1 })} title="logs of the trace (l)">
          {plural(logs.length, "line")}
        </Button>
        {closed.size > 0 ? (
          <Button icon="plus" onClick={() => setParams({ closed: "" })}>
            Open all
          </Button>
        ) : (
          tree.spans.some((s, i) => s.depth === 1 && tree.end[i]! > i + 1) && (
            <Button icon="minus" onClick={() => close(new Set(tree.spans.flatMap((s, i) => (s.depth === 1 && tree.end[i]! > i + 1 ? [s.span_id] : []))))}>
              Fold
            </Button>
          )
        )}
        {param("zoom") && (
          <Button icon="fit" onClick={() => setParams({ zoom: "" })}>
            All of it
          </Button>
        )}
      </div>
      <Minimap tree={tree} zoom={zoom} onZoom={(z) => setParams({ zoom: z[0] <= 0 && z[1] >= 1 ? "" : z.map((v) => String(Number(v.toFixed(4)))).join("-") })} />
      <div class={`trace-body${selected >= 0 ? " with-details" : ""}`}>
        <div class="trace-main">
          <Waterfall
            tree={tree}
            rows={rows}
            zoom={zoom}
            selected={selected}
            closed={closed}
            found={found}
            critical={critical}
            onSelect={select}
            onToggle={(i) => {
              const next = new Set(closed);
              const id = tree.spans[i]!.span_id;
              if (!next.delete(id)) next.add(id);
              close(next);
            }}
          />
          {linesOpen && (
            <section class="trace-logs" aria-label="logs of the trace" tabIndex={0}>
              <LogLines tree={tree} logs={logs} onSpan={(id) => reveal(Math.max(0, tree.spans.findIndex((s) => s.span_id === id)))} />
            </section>
          )}
        </div>
        {selected >= 0 && <Details tree={tree} index={selected} onClose={() => setParams({ span: "" })} />}
      </div>
    </>
  );
}

const none: Log[] = [];

function TracePage({ args: [id = ""] }: { args: string[] }) {
  const q = useQuery<Trace>("traces/" + id, {}, []);
  const l = useQuery<{ logs: Log[] }>(`traces/${id}/logs`, {}, []);
  const t = q.data.value;
  const root = t?.spans.find((s) => !s.gap);
  const gaps = t?.spans.filter((s) => s.gap && !s.running).length ?? 0;
  if (q.error.value?.status === 404)
    return (
      <Frame title="Trace" note={id}>
        <Empty icon="traces" title="This trace is not there" command="hanse trace ls">
          It may be older than what is kept, or none of its spans has come yet. <a href="/traces">All traces</a>
        </Empty>
      </Frame>
    );
  return (
    <Frame
      fill
      title={
        root ? (
          <span class="trace-title">
            <ServiceName name={root.service} />
            <span class="ellipsis">{short(root.name)}</span>
          </span>
        ) : (
          "Trace"
        )
      }
      note={
        t && (
          <span class="trace-note">
            <b class="num">{duration(t.duration)}</b>
            <span>{plural(t.spans.length - t.gaps, "span")}</span>
            <span>{plural(t.services.length, "service")}</span>
            {t.errors > 0 && <Badge tone="bad">{plural(t.errors, "error")}</Badge>}
            {t.errors === 0 && root?.status === "refused" && <Refused code={root.code} />}
            {t.running && <Badge tone="info">running</Badge>}
            {gaps > 0 && (
              <Badge tone="warn" title="spans that others name, and nobody sent">
                {plural(gaps, "gap")}
              </Badge>
            )}
            {(t.cut ?? 0) > 0 && <Badge tone="warn">{plural(t.cut!, "span")} left out</Badge>}
            <span class="num">{moment(t.start)}</span>
          </span>
        )
      }
      actions={
        <>
          <code class="trace-id" title={id}>
            {id.slice(0, 8)}…
          </code>
          <Copy text={id} label="copy the trace's ID" />
          <Button icon="restart" small tone="ghost" label="ask again for spans that came later" onClick={() => (q.refetch(), l.refetch())} />
        </>
      }
    >
      <Loaded query={q} rows={8}>
        {(trace) => <View trace={trace} logs={l.data.value?.logs ?? none} />}
      </Loaded>
    </Frame>
  );
}

export const trace: Page = { title: "Trace", path: /^\/traces\/([0-9a-fA-F]{32})$/, component: TracePage };
