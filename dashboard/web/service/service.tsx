// One service: how its calls do, who its neighbours are, its instances, settings and policies, and what can be done to it.
import "./service.css";
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { post, useQuery } from "../shell/api";
import { Chart, Sparkline } from "../shell/chart";
import { Badge, Button, Card, Select, ServiceName, Stat } from "../shell/controls";
import { ago, clock, duration, percent, plural, rate, short } from "../shell/format";
import { Frame, timeWindow, Window, type Page } from "../shell/page";
import { Failed, failed, more, streams, tone } from "../shell/numbers";
import { href, param, query, setParams } from "../shell/router";
import { Empty, Failure, Loading } from "../shell/states";
import { health, services, system, type Action, type Instance, type Service as Running } from "../shell/system";
import { Table } from "../shell/table";
import { attempt } from "../shell/toast";
import type { Edge, Log, Method, ServiceDetail, Sparks } from "../shell/types";
import { Config } from "./config";
import { Checks, Unwell } from "./health";
import { Resilience } from "./resilience";

const tabs = ["calls", "instances", "config", "resilience"] as const;

function Service({ args: [name = ""] }: { args: string[] }) {
  const window = timeWindow();
  const running = services.value.find((s) => s.name === name);
  const path = "services/" + encodeURIComponent(name);
  const detail = useQuery<ServiceDetail>(path, { window }, ["spans", "metrics"], 2000);
  const d = detail.data.value?.name === name ? detail.data.value : undefined;
  const tab = tabs.find((t) => t === param("tab")) ?? "calls";
  const unknown = detail.error.value?.status === 404;
  if (!running && !d) {
    return (
      <Frame title={<ServiceName name={name} link={false} />}>
        {!system.value || (!unknown && !detail.error.value) ? (
          <Loading />
        ) : unknown ? (
          <Empty icon="service" title={`There is no service ${name}`} command="hanse ps">
            None of its instances runs, and none has told anything that is still kept. <a href="/">To the overview</a>
          </Empty>
        ) : (
          <Failure error={detail.error.value!} retry={detail.refetch} />
        )}
      </Frame>
    );
  }
  const h = running && health(running);
  return (
    <Frame
      title={<ServiceName name={name} link={false} />}
      note={running?.program === "." ? undefined : (running?.program ?? d?.language)}
      actions={
        <>
          <Actions name={name} running={running} />
          <Window />
        </>
      }
    >
      <dl class="stats service-head">
        {h && (
          <Stat
            label="State"
            value={
              <Badge tone={h.tone} title={h.text}>
                {h.brief ?? h.text}
              </Badge>
            }
          />
        )}
        <Stat label="Calls" value={rate(d?.calls)} />
        <Stat label="Errors" value={percent(d && failed(d))} tone={(d && tone(d)) || undefined} />
        {!!d?.client_errors && <Stat label="Client errors" value={percent(d.client_errors / d.calls)} />}
        <Stat label="p50" value={d?.p50 ? duration(d.p50) : "–"} />
        <Stat label="p95" value={d?.p95 ? duration(d.p95) : "–"} />
        <Stat label="p99" value={d?.p99 ? duration(d.p99) : "–"} />
        {d && streams(d) && <Stat label="Streams" value={streams(d)} />}
      </dl>
      {running && <Unwell service={running} />}
      <nav class="tabs" aria-label="parts of the page">
        {tabs.map((t) => {
          const to = new URLSearchParams(query.value);
          t === "calls" ? to.delete("tab") : to.set("tab", t);
          const text = { calls: "Calls", instances: "Instances", config: "Config", resilience: "Resilience" }[t];
          return (
            <a key={t} href={href("/services/" + encodeURIComponent(name), Object.fromEntries(to))} aria-current={t === tab ? "page" : undefined}>
              {text}
              {t === "instances" && running && running.instances.length !== 1 ? ` ${running.instances.length}` : ""}
            </a>
          );
        })}
        <span class="grow" />
        <a href={href("/traces", { service: name })}>Traces</a>
        <a href={href("/logs", { service: name })}>Logs</a>
      </nav>
      {tab === "calls" && <Calls name={name} path={path} detail={d} waiting={!d && !detail.error.value} />}
      {tab === "instances" && (
        <div class="stack">
          <Instances list={running?.instances ?? []} />
          {running && <Checks path={path} service={running} />}
        </div>
      )}
      {tab === "config" && <Config path={path} />}
      {tab === "resilience" && <Resilience path={path} />}
    </Frame>
  );
}

function Actions({ name, running }: { name: string; running?: Running }) {
  const [busy, setBusy] = useState<Action | undefined>(undefined);
  if (!running) return null;
  const can = (a: Action) => !system.value?.read_only && (running.actions ?? []).includes(a);
  const act = async (a: Action, replicas?: number) => {
    setBusy(a);
    const done = { start: `${name} runs`, stop: `${name} has stopped`, restart: `${name} was restarted`, scale: `${name} has ${plural(replicas ?? 0, "instance")}` }[a];
    await attempt(() => post("system/do", { action: a, service: name, ...(replicas === undefined ? {} : { replicas }) }), done);
    setBusy(undefined);
  };
  return (
    <>
      <LogLevel name={name} running={running} />
      {can("scale") && (
        <span class="segments" role="group" aria-label="instances">
          <button type="button" aria-label="one instance less" disabled={!!busy || running.want < 2} onClick={() => void act("scale", running.want - 1)}>
            −
          </button>
          <button type="button" tabIndex={-1} aria-pressed="true" aria-label={plural(running.want, "instance")}>
            {running.want}
          </button>
          <button type="button" aria-label="one instance more" disabled={!!busy} onClick={() => void act("scale", running.want + 1)}>
            +
          </button>
        </span>
      )}
      {can("restart") && (
        <Button icon="restart" disabled={!!busy} onClick={() => void act("restart")}>
          {busy === "restart" ? "Restarting…" : "Restart"}
        </Button>
      )}
      {can("stop") && (
        <Button icon="stop" tone="danger" disabled={!!busy} onClick={() => void act("stop")}>
          {busy === "stop" ? "Stopping…" : "Stop"}
        </Button>
      )}
      {can("start") && (
        <Button icon="play" tone="primary" disabled={!!busy} onClick={() => void act("start")}>
          {busy === "start" ? "Starting…" : "Start"}
        </Button>
      )}
      {running.url && (
        <a class="button" href={running.url} target="_blank" rel="noopener">
          Open
        </a>
      )}
    </>
  );
}

function LogLevel({ name, running }: { name: string; running: Running }) {
  const path = `services/${encodeURIComponent(name)}/log-level`;
  const any = running.instances.some((i) => i.admin);
  const now = useQuery<{ instances: { report?: { level?: string; least: string } }[] }>(any ? path : undefined, {}, ["system"]);
  const report = now.data.value?.instances.find((i) => i.report)?.report;
  if (!report) return null;
  const level = (report.level || report.least || "").toLowerCase();
  const options = ["debug", "info", "warn", "error"];
  if (level && !options.includes(level)) options.push(level);
  const set = (v: string) => void attempt(() => post(path, { level: v }), `${name} logs from ${v} on`).then(now.refetch);
  if (system.value?.read_only) return <Badge title="it logs from this level on">logs {level}</Badge>;
  return <Select label="log level" value={level} options={options.map((o) => ({ value: o, text: `logs ${o}` }))} onChange={set} />;
}

function times(s: Sparks): number[] {
  const start = Date.parse(s.start) / 1000;
  return (s.calls ?? []).map((_, i) => start + (i * s.step) / 1e9);
}

/** Red is the three charts of calls: rate, errors, duration. */
function Red({ sparks, group, name }: { sparks: Sparks; group: string; name: string }) {
  const t = useMemo(() => times(sparks), [sparks]);
  const zero = (list: (number | null)[] | null) => list ?? [];
  const series = useMemo(
    () => ({
      calls: [{ label: "calls", values: zero(sparks.calls), color: name, fill: true }],
      errors: [{ label: "errors", values: zero(sparks.errors), color: "--bad", fill: true }],
      p95: [{ label: "p95", values: zero(sparks.p95), color: "--accent" }],
    }),
    [sparks],
  );
  return (
    <div class="three">
      <Card title="Rate" note="calls a second">
        <Chart label="calls a second" times={t} series={series.calls} format={(v) => rate(v)} height={150} group={group} min={0} />
      </Card>
      <Card title="Errors" note="failed calls a second">
        <Chart label="failed calls a second" times={t} series={series.errors} format={(v) => rate(v)} height={150} group={group} min={0} />
      </Card>
      <Card title="Duration" note="95th percentile">
        <Chart label="95th percentile of the duration" times={t} series={series.p95} format={(v) => duration(v * 1e9)} height={150} group={group} min={0} />
      </Card>
    </div>
  );
}

function Calls({ name, path, detail, waiting }: { name: string; path: string; detail?: ServiceDetail; waiting: boolean }) {
  const logs = useQuery<{ logs: Log[] | null }>(path + "/logs", { limit: 12 }, ["logs"], 1500);
  const lines = logs.data.value?.logs ?? [];
  const chosen = param("method");
  const method = detail?.methods?.find((m) => m.name === chosen);
  if (waiting) return <Loading />;
  return (
    <>
      {detail ? (
        <Red sparks={(method ?? detail).sparks} group="service" name={name} />
      ) : (
        <Card>
          <Empty icon="traces" title="It has not told of any call yet" command={`hanse call ${name}`}>
            Numbers appear with the first call that it serves.
          </Empty>
        </Card>
      )}
      {detail && (
        <Card
          title="Methods"
          flush
          note={method && `the charts show ${short(method.name)}`}
          actions={
            method && (
              <Button small onClick={() => setParams({ method: "" })}>
                All methods
              </Button>
            )
          }
        >
          <Methods list={detail.methods ?? []} label="methods" param="sort" onChoose={(m) => setParams({ method: m.name === chosen ? "" : m.name })} chosen={chosen} service={name} />
        </Card>
      )}
      <div class="two">
        <Card title="Calls to" flush>
          <Methods list={detail?.calls_to ?? []} label="calls to others" param="to" peers service={name} />
        </Card>
        <Card title="Called by" flush>
          <Callers list={detail?.callers ?? []} />
        </Card>
      </div>
      <Card title="Last lines" flush actions={<a href={href("/logs", { service: name })}>All logs</a>}>
        {lines.length ? <Lines lines={lines} /> : <Empty icon="logs" title="No lines yet">What it logs appears here.</Empty>}
      </Card>
    </>
  );
}

function Lines({ lines }: { lines: Log[] }) {
  return (
    <div class="lines" role="log" aria-label="last lines" aria-live="off" tabIndex={0}>
      {lines.map((l) => (
        <div key={l.id}>
          <time dateTime={l.time}>{clock(l.time)}</time>
          <span class={`level ${(l.level ?? "").replace(/[+-]\d+$/, "")}`}>{l.level}</span>
          <span>{l.message}</span>
          {l.attrs && l.attrs.length > 0 && <span class="attrs">{l.attrs.map((a) => `${a.key}=${typeof a.value === "object" ? JSON.stringify(a.value) : String(a.value)}`).join(" ")}</span>}
          {l.trace_id && <a href={href("/traces/" + l.trace_id, { span: l.span_id })}>trace</a>}
        </div>
      ))}
    </div>
  );
}

function Methods({ list, label, param: name, peers, onChoose, chosen, service }: { list: Method[]; label: string; param: string; peers?: boolean; onChoose?: (m: Method) => void; chosen?: string; service: string }) {
  const cell = (m: Method): ComponentChildren =>
    onChoose ? (
      <button type="button" class="text-link ellipsis" aria-pressed={m.name === chosen} title={m.name} onClick={() => onChoose(m)}>
        {short(m.name)}
      </button>
    ) : (
      <span class="ellipsis" title={m.name}>
        {short(m.name)}
      </span>
    );
  return (
    <Table
      label={label}
      rows={list}
      id={(m) => `${m.peer ?? ""} ${m.name}`}
      param={name}
      sort="-calls"
      height={38}
      link={peers ? (m) => href("/traces", { service: m.peer, method: m.kind === "rpc" ? m.name : "" }) : (m) => href("/traces", { service, method: m.name })}
      active={chosen ? ` ${chosen}` : undefined}
      columns={[
        ...(peers ? [{ id: "peer", title: "Service", width: "minmax(80px, 1fr)", render: (m: Method) => (m.peer ? <ServiceName name={m.peer} /> : <Badge>{m.kind}</Badge>), value: (m: Method) => m.peer }] : []),
        { id: "method", title: "Method", width: peers ? "minmax(70px, 1.3fr)" : "minmax(100px, 1.8fr)", render: cell, value: (m) => m.name },
        {
          id: "calls",
          title: "Calls",
          end: true,
          width: peers ? "62px" : "minmax(64px, 190px)",
          value: (m) => m.calls,
          render: (m) => (
            <>
              {!peers && (
                <span class="cell-spark">
                  <Sparkline values={(m.sparks?.calls ?? []).map((v) => v ?? undefined)} label={`calls of ${short(m.name)}`} width={88} />
                </span>
              )}
              <span class="cell-number">{rate(m.calls)}</span>
            </>
          ),
        },
        { id: "errors", title: "Errors", end: true, width: "54px", value: failed, render: (m) => <Failed of={m} /> },
        ...(peers ? more(list, (m) => m).filter((c) => c.id === "streams") : more(list, (m) => m)),
        ...(peers ? [] : [{ id: "p50", title: "p50", end: true, width: "76px", narrow: "hide" as const, value: (m: Method) => m.p50, render: (m: Method) => <span class="quiet-text">{m.p50 ? duration(m.p50) : "–"}</span> }]),
        { id: "p95", title: "p95", end: true, width: "76px", narrow: peers ? "hide" : undefined, value: (m) => m.p95, render: (m) => (m.p95 ? duration(m.p95) : "–") },
        ...(peers ? [] : [{ id: "status", title: "Ended with", width: "minmax(90px, 1fr)", narrow: "hide" as const, render: (m: Method) => <Statuses of={m} /> }]),
      ]}
      empty={<Empty icon="traces" title={peers ? "It called nobody in this window" : "Nobody called it in this window"} />}
    />
  );
}

function Statuses({ of }: { of: Method }) {
  const bad = Object.entries(of.status ?? {}).filter(([s]) => s !== "OK" && s !== "0" && !/^[123]\d\d$/.test(s));
  return (
    <span class="chips">
      {bad.slice(0, 3).map(([s, n]) => (
        <Badge key={s} tone={of.faults?.includes(s) ? "bad" : "quiet"}>
          {s} {n}
        </Badge>
      ))}
    </span>
  );
}

function Callers({ list }: { list: Edge[] }) {
  return (
    <Table
      label="callers"
      rows={list}
      id={(e) => `${e.from} ${e.kind}`}
      param="by"
      sort="-calls"
      height={38}
      link={(e) => "/services/" + encodeURIComponent(e.from)}
      columns={[
        { id: "from", title: "Service", render: (e) => <ServiceName name={e.from} />, value: (e) => e.from },
        { id: "kind", title: "By", width: "72px", render: (e) => <Badge>{e.kind}</Badge>, narrow: "hide" },
        { id: "calls", title: "Calls", end: true, width: "72px", render: (e) => rate(e.calls), value: (e) => e.calls },
        { id: "errors", title: "Errors", end: true, width: "60px", render: (e) => <Failed of={e} />, value: failed },
        ...more(list, (e) => e).filter((c) => c.id === "streams"),
        { id: "p95", title: "p95", end: true, width: "76px", render: (e) => (e.p95 ? duration(e.p95) : "–"), value: (e) => e.p95 },
      ]}
      empty={<Empty icon="traces" title="Nobody called it in this window" />}
    />
  );
}

function Instances({ list }: { list: Instance[] }) {
  const failed = list.filter((i) => i.reason || i.last?.length);
  return (
    <div class="stack">
      <Card flush>
        <Table
          label="instances"
          rows={list}
          id={(i) => i.id}
          param="instances"
          sort="replica"
          height={52}
          columns={[
            { id: "replica", title: "Instance", width: "minmax(90px, 1fr)", value: (i) => i.replica ?? 0, render: (i) => <span class="ellipsis"><strong>{i.replica ? `#${i.replica} ` : ""}</strong><code title={i.id}>{i.id.slice(0, 8)}</code></span> },
            { id: "state", title: "State", width: "minmax(76px, 100px)", value: (i) => i.state, render: (i) => <Badge tone={i.state === "ready" ? "good" : i.state === "failed" ? "bad" : "warn"}>{i.state}</Badge> },
            { id: "pid", title: "Process", width: "72px", end: true, value: (i) => i.pid, render: (i) => i.pid ?? "–", narrow: "hide" },
            { id: "version", title: "Version", width: "minmax(70px, 130px)", value: (i) => i.version, render: (i) => <code class="ellipsis" title={i.version}>{i.version?.slice(0, 12) || "–"}</code> },
            { id: "started", title: "Started", width: "92px", value: (i) => i.started, render: (i) => (i.started ? ago(i.started) : "–") },
            {
              id: "endpoints",
              title: "Endpoints",
              width: "minmax(0, 2fr)",
              narrow: "hide",
              render: (i) => (
                <span class="endpoints">
                  {(i.endpoints ?? []).slice(0, 2).map((e) => (
                    <code key={e} class="ellipsis" title={e}>
                      {e}
                    </code>
                  ))}
                  {i.command && <small class="ellipsis">{i.command}</small>}
                </span>
              ),
            },
            { id: "admin", title: "Admin", width: "minmax(0, 150px)", narrow: "hide", render: (i) => (i.admin ? <a href={`http://${i.admin}/`} target="_blank" rel="noopener">{i.admin}</a> : "–") },
          ]}
          empty={
            <Empty icon="service" title="No instance runs">
              It may have been stopped; the button above starts it.
            </Empty>
          }
        />
      </Card>
      {failed.map((i) => (
        <Card key={i.id} title={`Why #${i.replica ?? 1} ${i.state === "failed" ? "does not run" : "ended before"}`} note={i.restarts ? plural(i.restarts, "restart") : undefined} flush>
          <p class="why map-note">{i.reason}</p>
          {i.last && <pre class="last">{i.last.join("\n")}</pre>}
        </Card>
      ))}
      {list.some((i) => i.contracts?.length) && (
        <Card title="Contracts">
          <div class="chips">
            {[...new Set(list.flatMap((i) => i.contracts ?? []))].sort().map((c) => (
              <code key={c}>{c}</code>
            ))}
          </div>
        </Card>
      )}
    </div>
  );
}

export const service: Page = { title: "Service", path: /^\/services\/([^/]+)$/, component: Service };
