// Metrics: any number that programs sent, over time. The charts are in the address: m=NAME|stat|label,label, one for each.
import { useMemo } from "preact/hooks";
import { useQuery } from "../shell/api";
import { Chart, type Point } from "../shell/chart";
import { Button, Card, Search, Select } from "../shell/controls";
import { bytes, count, digits, duration, plural, rate } from "../shell/format";
import { Frame, timeWindow, Window, type Page } from "../shell/page";
import { go, href, param, query, setParams } from "../shell/router";
import { Empty, Loaded, Untold } from "../shell/states";
import { Table } from "../shell/table";
import "./metrics.css";

interface Info {
  name: string;
  kind: string; // counter, updown, gauge, histogram
  unit?: string;
  description?: string;
  services: string[];
  labels: string[];
  series: number;
}

interface Result {
  metric: Info;
  stat: string;
  start: string;
  step: number;
  series: { labels: Record<string, string>; values: (number | null)[]; exemplars?: { time: string; value: number; trace_id: string; span_id?: string }[] }[];
  more?: number;
}

/** Plot is one chart. */
interface Plot {
  name: string;
  stat: string; // "": what fits the kind
  by: string;
}

function plots(): Plot[] {
  return query.value.getAll("m").map((t) => {
    const [name = "", stat = "", by = ""] = t.split("|");
    return { name, stat, by };
  });
}

function show(list: Plot[]): void {
  const q = new URLSearchParams(query.value);
  q.delete("m");
  for (const p of list) q.append("m", [p.name, p.stat, p.by].join("|").replace(/\|+$/, ""));
  go("/metrics" + (q.size ? "?" + q : ""), true);
}

const stats: Record<string, string[]> = {
  histogram: ["p95", "p99", "p90", "p50", "avg", "rate"],
  counter: ["rate", "sum"],
  gauge: ["avg", "min", "max"],
  updown: ["avg", "min", "max", "sum"],
};

/** unitName writes a unit of UCUM for people: {connection} is connection, By is bytes, and the 1 of what has none is nothing. */
function unitName(unit = ""): string {
  return unit === "1" ? "" : unit.replace(/[{}]/g, "").replace(/^By\b/, "bytes");
}

/** writer writes values with the unit of a metric. */
function writer(unit: string, stat: string): (v: number) => string {
  if (stat === "rate" && unit !== "By") return rate;
  const each = stat === "rate" ? "/s" : "";
  if (unit === "s") return (v) => duration(v * 1e9);
  if (unit === "ms") return (v) => duration(v * 1e6);
  if (unit === "By") return (v) => bytes(Math.round(v)) + each;
  return (v) => (Number.isInteger(v) || Math.abs(v) >= 100 ? count(Number(v.toPrecision(3))) : digits(v));
}

function PlotCard({ plot, info, at, all }: { plot: Plot; info?: Info; at: number; all: Plot[] }) {
  const [usual = "usual", ...others] = stats[info?.kind ?? ""] ?? [];
  const change = (to: Partial<Plot>) => show(all.map((p, i) => (i === at ? { ...p, ...to } : p)));
  const q = useQuery<Result>("metrics/series", { metric: plot.name, stat: plot.stat, by: plot.by ? plot.by.split(",") : [], window: timeWindow("15m") }, ["metrics"], 2000);
  return (
    <Card
      title={plot.name}
      note={info?.description}
      actions={
        <>
          <Select label={`statistic of ${plot.name}`} value={plot.stat === usual ? "" : plot.stat} options={[{ value: "", text: usual }, ...others.map((s) => ({ value: s, text: s }))]} onChange={(stat) => change({ stat })} />
          <Select label={`lines of ${plot.name}`} value={plot.by} options={[{ value: "", text: "one line" }, ...(info?.labels ?? []).map((l) => ({ value: l, text: `by ${l}` }))]} onChange={(by) => change({ by })} />
          <Button small tone="ghost" icon="close" label={`close ${plot.name}`} onClick={() => show(all.filter((_, i) => i !== at))} />
        </>
      }
    >
      <Loaded query={q}>{(r) => <Lines result={r} />}</Loaded>
    </Card>
  );
}

function Lines({ result: r }: { result: Result }) {
  const format = writer(r.metric.unit ?? "", r.stat);
  const { times, series, points } = useMemo(() => {
    const from = Date.parse(r.start) / 1000;
    const times = (r.series[0]?.values ?? []).map((_, i) => from + (i * r.step) / 1e9);
    const series = r.series.map((s, i) => {
      const label = Object.values(s.labels).join(", ") || r.metric.name;
      return { label, values: s.values, color: s.labels["service.name"] ?? (r.series.length === 1 ? undefined : label || String(i)), fill: r.series.length === 1 };
    });
    const points: Point[] = r.stat === "rate" ? [] : r.series.flatMap((s) => (s.exemplars ?? []).map((e) => ({ time: Date.parse(e.time) / 1000, value: e.value, title: `${format(e.value)}: open its trace`, open: () => go(href(`/traces/${e.trace_id}`, { span: e.span_id })) })));
    return { times, series, points };
  }, [r]);
  const newest = [...new Map(r.series.flatMap((s) => s.exemplars ?? []).map((e) => [e.trace_id, e])).values()].slice(-3);
  if (r.series.length === 0) return <p class="note">Nothing was measured in this time.</p>;
  return (
    <>
      <Chart label={`${r.metric.name}, ${r.stat}`} times={times} series={series} format={format} binary={r.metric.unit === "By"} height={200} points={points} group="metrics" />
      {(newest.length > 0 || (r.more ?? 0) > 0) && (
        <p class="note">
          {(r.more ?? 0) > 0 && `${plural(r.more!, "more line")}. `}
          {newest.length > 0 && "Measured in traces: "}
          {newest.map((e) => (
            <a key={e.trace_id} class="exemplar" href={href(`/traces/${e.trace_id}`, { span: e.span_id })}>
              {format(e.value)}
            </a>
          ))}
        </p>
      )}
    </>
  );
}

function Metrics() {
  const q = useQuery<Info[]>("metrics", {}, ["metrics"], 5000);
  const text = param("q").toLowerCase();
  const all = plots();
  return (
    <Frame title="Metrics" actions={<Window fallback="15m" />}>
      {all.map((p, i) => (
        <PlotCard key={`${i}${p.name}`} plot={p} at={i} all={all} info={q.data.value?.find((m) => m.name === p.name)} />
      ))}
      <Card title="All metrics" actions={<Search label="search metrics" value={param("q")} onChange={(v) => setParams({ q: v })} />} flush>
        <Loaded query={q}>
          {(list) => (
            <Table
              label="metrics"
              rows={list.filter((m) => !text || `${m.name} ${m.description} ${m.services.join(" ")}`.toLowerCase().includes(text))}
              id={(m) => m.name}
              sort="name"
              max={520}
              columns={[
                {
                  id: "name",
                  title: "Metric",
                  width: "minmax(0, 2fr)",
                  value: (m) => m.name,
                  render: (m) => (
                    <button type="button" class="metric-name ellipsis" title={m.description} onClick={() => show([...all, { name: m.name, stat: "", by: "" }])}>
                      {m.name}
                    </button>
                  ),
                },
                { id: "kind", title: "Kind", width: "90px", value: (m) => m.kind, render: (m) => m.kind },
                { id: "unit", title: "Unit", width: "80px", render: (m) => unitName(m.unit), narrow: "hide" },
                { id: "services", title: "Services", value: (m) => m.services.length, render: (m) => <span class="ellipsis">{m.services.join(", ")}</span>, narrow: "hide" },
                { id: "series", title: "Series", width: "70px", end: true, value: (m) => m.series, render: (m) => count(m.series), narrow: "hide" },
              ]}
              empty={
                list.length ? (
                  <Empty icon="metrics" title="No metric has this text" />
                ) : (
                  <Untold icon="metrics" title="No numbers have come yet">
                    Programs send theirs every few seconds once they run.
                  </Untold>
                )
              }
            />
          )}
        </Loaded>
      </Card>
    </Frame>
  );
}

export const metrics: Page = { title: "Metrics", path: /^\/metrics$/, component: Metrics, nav: "/metrics", icon: "metrics", keys: "g m", needs: "metrics" };
