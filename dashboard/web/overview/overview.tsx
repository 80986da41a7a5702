// Overview: what is wrong now, who calls whom, and how each service does.
import "./overview.css";
import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useQuery } from "../shell/api";
import { Sparkline } from "../shell/chart";
import { Badge, Card, Button, Segments, ServiceName } from "../shell/controls";
import { duration, plural, rate } from "../shell/format";
import { Frame, timeWindow, Window, type Page } from "../shell/page";
import { Failed, failed, more } from "../shell/numbers";
import { param, setParams } from "../shell/router";
import { Empty, Failure, Loading, Untold } from "../shell/states";
import { health, services, system, type Service } from "../shell/system";
import { Table } from "../shell/table";
import type { CallMap, Edge, Problem, ServiceSummary } from "../shell/types";
import { Advice, type Finding } from "./advice";
import { ServiceMap } from "./map";
import { Problems } from "./problems";

// A phone has no room for a map that can be read: it begins with the list.
const phone = matchMedia("(max-width: 640px)");
const narrow = signal(phone.matches);
phone.addEventListener("change", () => (narrow.value = phone.matches));

type Row = { name: string; told?: ServiceSummary; running?: Service };

function Overview() {
  const window = timeWindow();
  const map = useQuery<CallMap>("map", { window }, ["spans", "metrics"], 2000);
  const told = useQuery<{ services: ServiceSummary[] | null }>("services", { window }, ["spans", "metrics", "logs"], 2000);
  const problems = useQuery<{ problems: Problem[] | null }>("problems", {}, ["system", "spans", "logs", "metrics"], 2000);
  const advice = useQuery<{ findings: Finding[] | null }>("advice", { limit: 200, wait: "no" }, ["spans"], 30000);
  const findings = advice.data.value?.findings ?? [];
  const infrastructure = param("infra") !== "";
  const usual = narrow.value ? "list" : "map";
  const list = param("view", usual) === "list";
  const running = services.value;
  const rows = useMemo(() => {
    const all = new Map<string, Row>();
    for (const s of running) all.set(s.name, { name: s.name, running: s });
    for (const t of told.data.value?.services ?? []) all.set(t.name, { ...all.get(t.name), name: t.name, told: t });
    return [...all.values()];
  }, [running, told.data.value]);
  const hidden = (map.data.value?.nodes ?? []).filter((n) => n.kind !== "service" && !running.some((s) => s.name === n.name)).length;
  const error = map.error.value ?? told.error.value;
  const quiet = map.data.value && map.data.value.edges.length === 0;

  return (
    <Frame title="Overview" actions={<Window />}>
      {error && <Failure error={error} retry={() => (map.refetch(), told.refetch())} />}
      {!system.value ? (
        <Loading />
      ) : rows.length === 0 ? (
        <Card>
          <Empty icon="service" title="No services run yet" command="hanse dev">
            They appear here as soon as they start, and programs in any language as soon as they send telemetry.
          </Empty>
        </Card>
      ) : (
        <>
          <Problems told={problems.data.value?.problems ?? []} />
          <Card
            title="Map"
            flush
            note={map.data.value && plural(map.data.value.edges.filter((e) => infrastructure || e.kind !== "db").length, "connection")}
            actions={
              <>
                {(hidden > 0 || infrastructure) && (
                  <Button small pressed={infrastructure} icon="store" onClick={() => setParams({ infra: infrastructure ? "" : "1" })}>
                    Infrastructure
                  </Button>
                )}
                <Segments
                  label="show the calls as"
                  value={list ? "list" : "map"}
                  options={[
                    { value: "map", text: "Map" },
                    { value: "list", text: "List" },
                  ]}
                  onChange={(v) => setParams({ view: v === usual ? "" : v })}
                />
              </>
            }
          >
            {list ? (
              <Connections map={map.data.value} infrastructure={infrastructure} />
            ) : (
              <>
                <ServiceMap map={map.data.value ?? { nodes: [], edges: [] }} services={running} infrastructure={infrastructure} findings={findings} />
                {quiet && <p class="note map-note">No calls in the last {window}. Connections appear with the first one: open a page of the system, or use <code>hanse call</code>.</p>}
              </>
            )}
            <Advice findings={findings} />
          </Card>
          <Card title="Services" flush>
            <Services rows={rows} />
          </Card>
        </>
      )}
    </Frame>
  );
}

function known(values: (number | null)[] | null | undefined): (number | undefined)[] {
  return (values ?? []).map((v) => v ?? undefined);
}

function Services({ rows }: { rows: Row[] }) {
  return (
    <Table
      label="services"
      rows={rows}
      id={(r) => r.name}
      link={(r) => "/services/" + encodeURIComponent(r.name)}
      sort="name"
      height={40}
      tone={(r) => (r.running && health(r.running).tone === "bad" ? "bad" : undefined)}
      columns={[
        { id: "name", title: "Service", width: "minmax(110px, 1.6fr)", render: (r) => <ServiceName name={r.name} />, value: (r) => r.name },
        { id: "state", title: "State", width: "minmax(84px, 1.1fr)", render: (r) => <State row={r} />, value: (r) => (r.running ? health(r.running).text : "") },
        {
          id: "calls",
          title: "Calls",
          end: true,
          width: "minmax(64px, 190px)",
          value: (r) => r.told?.calls,
          render: (r) => (
            <>
              <Spark values={known(r.told?.sparks.calls)} label={`calls of ${r.name}`} />
              <span class="cell-number">{rate(r.told?.calls)}</span>
            </>
          ),
        },
        {
          id: "errors",
          title: "Errors",
          end: true,
          width: "minmax(56px, 72px)",
          value: (r) => (r.told?.calls ? failed(r.told) : undefined),
          render: (r) => <Failed of={r.told} />,
        },
        ...more(rows, (r) => r.told),
        { id: "p50", title: "p50", end: true, width: "72px", narrow: "hide", value: (r) => r.told?.p50, render: (r) => <span class="quiet-text">{r.told?.p50 ? duration(r.told.p50) : "–"}</span> },
        {
          id: "p95",
          title: "p95",
          end: true,
          width: "minmax(64px, 190px)",
          narrow: "hide",
          value: (r) => r.told?.p95,
          render: (r) => (
            <>
              <Spark values={known(r.told?.sparks.p95)} label={`95th percentile of ${r.name}`} quiet />
              <span class="cell-number">{r.told?.p95 ? duration(r.told.p95) : "–"}</span>
            </>
          ),
        },
        {
          id: "logs",
          title: "Log errors",
          end: true,
          width: "84px",
          narrow: "hide",
          value: (r) => r.told?.log_errors,
          render: (r) => (r.told?.log_errors ? <a class="bad-text" href={`/logs?q=${encodeURIComponent(`service:${r.name} level:error`)}`}>{r.told.log_errors}</a> : <span class="quiet-text">0</span>),
        },
      ]}
    />
  );
}

function Spark({ values, label, quiet }: { values: (number | undefined)[]; label: string; quiet?: boolean }) {
  return (
    <span class="cell-spark">
      <Sparkline values={values} label={label} tone={quiet ? "quiet" : "accent"} width={88} />
    </span>
  );
}

function State({ row }: { row: Row }) {
  const h = row.running ? health(row.running) : { tone: undefined, text: row.told?.language ? `sends telemetry (${row.told.language})` : "sends telemetry" };
  return (
    <Badge tone={h.tone} title={h.text}>
      <span class="ellipsis">{h.text}</span>
    </Badge>
  );
}

function Connections({ map, infrastructure }: { map?: CallMap; infrastructure: boolean }) {
  if (!map) return <Loading />;
  const kinds: Record<Edge["kind"], string> = { rpc: "RPC", http: "HTTP", event: "event", db: "database" };
  return (
    <Table
      label="connections"
      rows={map.edges.filter((e) => infrastructure || e.kind !== "db")}
      id={(e) => `${e.from} ${e.to} ${e.kind}`}
      link={(e) => "/services/" + encodeURIComponent(e.kind === "event" && map.nodes.some((n) => n.name === e.from && n.kind === "messaging") ? e.to : e.from)}
      param="connections"
      sort="from"
      columns={[
        { id: "from", title: "From", render: (e) => <ServiceName name={e.from} link={false} />, value: (e) => e.from },
        { id: "to", title: "To", render: (e) => <ServiceName name={e.to} link={false} />, value: (e) => e.to },
        { id: "kind", title: "By", width: "84px", render: (e) => <Badge>{kinds[e.kind] ?? e.kind}</Badge>, value: (e) => e.kind, narrow: "hide" },
        { id: "calls", title: "Rate", width: "56px", end: true, render: (e) => rate(e.calls), value: (e) => e.calls },
        { id: "errors", title: "Errors", width: "44px", end: true, render: (e) => <Failed of={e} />, value: failed },
        ...more(map.edges, (e) => e),
        { id: "p95", title: "p95", width: "80px", end: true, render: (e) => (e.p95 ? duration(e.p95) : "–"), value: (e) => e.p95, narrow: "hide" },
      ]}
      empty={
        <Untold icon="overview" title="Nobody called anybody in this window" command="hanse call">
          Each call between services becomes a line here.
        </Untold>
      }
    />
  );
}

export const overview: Page = { title: "Overview", path: /^\/$/, component: Overview, nav: "/", icon: "overview", keys: "g o" };
