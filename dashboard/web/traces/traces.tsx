// Traces: which requests there were, and how long they took.
import { useQuery } from "../shell/api";
import type { Topic } from "../shell/live";
import { Badge, Button, Card, Search, Segments, Select, ServiceName } from "../shell/controls";
import { clock, duration, plural, short } from "../shell/format";
import { Icon } from "../shell/icons";
import { Frame, seconds, timeWindow, Window, type Page } from "../shell/page";
import { param, setParams } from "../shell/router";
import { Empty, Loaded, Untold } from "../shell/states";
import { services } from "../shell/system";
import { Table, type Column } from "../shell/table";
import { tint } from "../shell/color";
import { Refused } from "./details";
import { Scatter } from "./scatter";
import { suggest } from "./suggest";
import { took, type Summary, type TracePage } from "./types";
import "./traces.css";

// span of time of the scatter: what was drawn, or the window until now.
function stretch(): [number, number] {
  const from = Date.parse(param("from"));
  const to = Date.parse(param("to"));
  if (from && to) return [from, to];
  const now = Date.now();
  return [now - seconds(timeWindow("15m")) * 1000, now];
}

// readable writes 1500us as people do.
function readable(text: string): string {
  const m = /^([\d.]+)(ns|us|ms|s)$/.exec(text);
  return m ? duration(Number(m[1]) * { ns: 1, us: 1e3, ms: 1e6, s: 1e9 }[m[2] as "ns" | "us" | "ms" | "s"]) : text;
}

function columns(longest: number): Column<Summary>[] {
  return [
    { id: "start", title: "Start", width: "96px", narrow: "hide", render: (t) => <span class="num">{clock(t.start)}</span>, value: (t) => t.start },
    {
      id: "name",
      title: "Request",
      width: "minmax(0, 2.4fr)",
      value: (t) => t.service + " " + t.name,
      render: (t) => (
        <>
          {t.gap && !t.running && (
            <span class="gap-mark" title="the beginning is not there: it was lost, or goes on and does not say so">
              <Icon name="minus" size={12} />
            </span>
          )}
          <ServiceName name={t.service} link={false} />
          <a class="ellipsis trace-name" href={"/traces/" + t.trace_id} tabIndex={-1} title={t.name}>
            {short(t.name)}
          </a>
        </>
      ),
    },
    {
      id: "duration",
      title: "Duration",
      width: "minmax(76px, 1fr)",
      value: took,
      render: (t) => (
        <>
          <span class="num took">{duration(t.duration)}</span>
          <span class="took-bar" aria-hidden="true">
            <i style={{ width: `${took(t) > 0 ? Math.max(1, (t.duration / longest) * 100) : 0}%` }} />
          </span>
        </>
      ),
    },
    { id: "spans", title: "Spans", width: "64px", end: true, narrow: "hide", value: (t) => t.spans, render: (t) => <span class="num">{t.spans}</span> },
    {
      id: "errors",
      title: "Status",
      width: "minmax(86px, 0.7fr)",
      value: (t) => t.errors,
      render: (t) => (t.errors ? <Badge tone="bad">{t.status === "error" ? "failed" : plural(t.errors, "error")}</Badge> : t.running ? <Badge tone="info">running</Badge> : t.status === "refused" ? <Refused code={t.code} /> : <span class="note">ok</span>),
    },
    {
      id: "services",
      title: "Services",
      width: "minmax(0, 0.8fr)",
      narrow: "hide",
      render: (t) => (
        <span class="swatches" title={(t.services ?? []).join(", ")} role="img" aria-label={(t.services ?? []).join(", ")}>
          {(t.services ?? []).map((s) => (
            <span key={s} class="swatch" style={tint(s)} />
          ))}
        </span>
      ),
    },
  ];
}

function Traces() {
  const drawn = param("from") !== "" && param("to") !== "";
  const order = param("order") === "slowest" ? "slowest" : "newest";
  const errors = param("errors") === "1";
  const asked = {
    q: param("q"),
    service: param("service"),
    method: param("method"),
    min: param("min"),
    max: param("max"),
    errors: errors ? 1 : "",
    window: drawn ? "" : timeWindow("15m"),
    from: param("from"),
    to: param("to"),
    limit: 1000,
  };
  const topics: Topic[] = drawn ? [] : ["spans"];
  const q = useQuery<TracePage>("traces", { ...asked, slowest: order === "slowest" ? 1 : "" }, topics, 2000);
  // The list has the first; the points stand for all.
  const more = useQuery<TracePage>(q.data.value?.next ? "traces" : undefined, { ...asked, spread: 1 }, topics, 10_000).data.value;
  const wrong = q.error.value?.status === 400 ? q.error.value.message : "";
  const [from, to] = stretch();
  const narrowed = drawn || param("min") || param("max");
  const searched = param("q") || param("service") || param("method") || errors || narrowed;
  return (
    <Frame
      title="Traces"
      note="one line for each request"
      actions={
        <>
          <Segments
            label="order"
            value={order}
            options={[
              { value: "newest", text: "Newest" },
              { value: "slowest", text: "Slowest" },
            ]}
            onChange={(v) => setParams({ order: v === "slowest" ? v : "", sort: v === "slowest" ? "-duration" : "" })}
          />
          <Window fallback="15m" />
        </>
      }
    >
      <div class="trace-tools">
        <Search
          label="search traces"
          placeholder="Search: words, service:cart status:error duration>100ms key:value"
          value={param("q")}
          error={wrong}
          onChange={(v) => setParams({ q: v })}
          suggestions={(line) => suggest("spans", line)}
        />
        <Select
          label="service"
          value={param("service")}
          options={[{ value: "", text: "All services" }, ...services.value.map((s) => ({ value: s.name, text: s.name }))]}
          onChange={(v) => setParams({ service: v })}
        />
        <Button icon="bad" pressed={errors} onClick={() => setParams({ errors: errors ? "" : 1 })}>
          Errors
        </Button>
        {param("method") && (
          <Button icon="close" onClick={() => setParams({ method: "" })}>
            {short(param("method"))}
          </Button>
        )}
        {narrowed && (
          <Button icon="close" onClick={() => setParams({ from: "", to: "", min: "", max: "" })}>
            {[drawn && `${clock(from, false)} – ${clock(to, false)}`, param("min") && `≥ ${readable(param("min"))}`, param("max") && `≤ ${readable(param("max"))}`].filter(Boolean).join(", ")}
          </Button>
        )}
      </div>
      {wrong ? (
        <Empty icon="search" title="This search cannot be read">
          {wrong}
        </Empty>
      ) : (
        <Loaded query={q}>
          {(page) =>
            page.traces.length === 0 ? (
              searched ? (
                <Empty icon="search" title="No trace fits">
                  Nothing in this stretch of time matches the search. <a href="/traces">Show all</a>
                </Empty>
              ) : (
                <Untold icon="traces" title="No request was made yet" command="hanse call SERVICE/METHOD">
                  Every call of a service appears here within a second or two.
                </Untold>
              )
            ) : (
              <>
                <Card flush>
                  <Scatter
                    traces={(page.next && more?.traces) || page.traces}
                    found={page.next ? (more?.found ?? 0) : page.traces.length}
                    partial={more?.partial}
                    from={from}
                    to={to}
                    onArea={(a) =>
                      setParams({ from: new Date(a.from).toISOString(), to: new Date(a.to).toISOString(), min: a.min ? `${Math.floor(a.min / 1000)}us` : "", max: a.max ? `${Math.ceil(a.max / 1000)}us` : "" }, true)
                    }
                  />
                </Card>
                <Card
                  flush
                  title={plural(page.traces.length, "trace")}
                  note={page.partial ? "the search was cut short: make the window smaller" : page.next ? "the first 1,000; draw a stretch above to see fewer" : ""}
                >
                  <Table
                    label="traces"
                    rows={page.traces}
                    id={(t) => t.trace_id}
                    link={(t) => "/traces/" + t.trace_id}
                    sort={order === "slowest" ? "-duration" : "-start"}
                    columns={columns(Math.max(1, ...page.traces.map(took)))}
                    tone={(t) => (t.errors ? "bad" : undefined)}
                  />
                </Card>
              </>
            )
          }
        </Loaded>
      )}
    </Frame>
  );
}

export const traces: Page = { title: "Traces", path: /^\/traces$/, component: Traces, nav: "/traces", icon: "traces", keys: "g t" };
