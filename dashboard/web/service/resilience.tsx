// What policies do to the calls of a service: circuits, budgets and ejected instances of those it calls, limits of those it serves.
import { useQuery } from "../shell/api";
import { Badge, Card, ServiceName, type Tone } from "../shell/controls";
import { clock, count, duration, percent, short } from "../shell/format";
import { param, setParams } from "../shell/router";
import { Empty, Failure, Loaded } from "../shell/states";
import { Table } from "../shell/table";
import { WhichInstance } from "./which";

interface Target {
  policy: Record<string, string>;
  budget: { calls: number; again: number; left: number };
  breaker: { state: string; calls: number; failures: number; until?: string };
  instances: { instance: string; state: string; reason?: string; until?: string; calls: number; failures: number; latency_ms: number }[] | null;
  counts: Record<string, number> | null;
}

interface Limits {
  limit?: { state: string; limit?: number; running: number; waiting: number; ease_ns: number; latency_ns: number };
  rate?: { per_second: number; burst: number; tokens: number };
  bulkhead?: { calls: number; running: number };
  counts?: Record<string, number>;
}

interface Told {
  instance: string;
  replica?: number;
  error?: string;
  report?: { targets: Record<string, Target>; serving?: { policy: Record<string, string>; methods: Record<string, Limits> | null } };
}

const circuits: Record<string, Tone> = { closed: "good", "half-open": "warn", open: "bad", off: "quiet" };

export function Resilience({ path }: { path: string }) {
  const q = useQuery<{ instances: Told[] }>(path + "/resilience", {}, ["system", "metrics"], 3000);
  return (
    <Loaded query={q}>
      {({ instances }) => {
        const one = instances.find((i) => i.instance === param("instance")) ?? instances[0];
        if (!one)
          return (
            <Card>
              <Empty icon="service" title="No instance runs">
                Policies are told by a running instance.
              </Empty>
            </Card>
          );
        if (one.error || !one.report) return <Failure error={{ message: "the instance does not tell its policies", advice: one.error }} retry={q.refetch} />;
        const targets = Object.entries(one.report.targets ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
        const methods = Object.entries(one.report.serving?.methods ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
        return (
          <div class="stack">
            <WhichInstance list={instances} value={one.instance} onChange={(v) => setParams({ instance: v })} />
            {targets.length === 0 && (
              <Card title="Calls to others">
                <p class="note">It has no connection that leaves its process.</p>
              </Card>
            )}
            {targets.map(([name, t]) => (
              <TargetCard key={name} name={name} t={t} />
            ))}
            <Card title="Calls that it serves" flush note={one.report.serving && settings(one.report.serving.policy)}>
              <Table
                label="methods that it serves"
                rows={methods}
                id={([m]) => m}
                param="serving"
                columns={[
                  { id: "method", title: "Method", width: "minmax(110px, 1.5fr)", render: ([m]) => <span class="ellipsis" title={m}>{short(m)}</span>, value: ([m]) => m },
                  { id: "state", title: "Limit", width: "minmax(80px, 1fr)", render: ([, l]) => (l.limit ? <Badge tone={l.limit.state === "limiting" ? "warn" : "good"}>{l.limit.state}{l.limit.limit ? ` ${l.limit.limit}` : ""}</Badge> : <Badge>none</Badge>) },
                  { id: "running", title: "Running", width: "72px", end: true, render: ([, l]) => l.limit?.running ?? l.bulkhead?.running ?? "–" },
                  { id: "waiting", title: "Waiting", width: "72px", end: true, narrow: "hide", render: ([, l]) => l.limit?.waiting ?? "–" },
                  { id: "latency", title: "Latency", width: "84px", end: true, narrow: "hide", render: ([, l]) => (l.limit?.latency_ns ? duration(l.limit.latency_ns) : "–") },
                  { id: "counts", title: "What was done", width: "minmax(0, 1fr)", narrow: "hide", render: ([, l]) => <Counts of={l.counts} /> },
                ]}
                empty={<Empty icon="service" title="It has served no call yet" />}
              />
            </Card>
          </div>
        );
      }}
    </Loaded>
  );
}

function settings(policy: Record<string, string>): string {
  return Object.entries(policy)
    .slice(0, 4)
    .map(([k, v]) => `${k} ${v}`)
    .join(" · ");
}

function Counts({ of }: { of?: Record<string, number> | null }) {
  const list = Object.entries(of ?? {}).filter(([, n]) => n > 0);
  if (!list.length) return <span class="quiet-text">nothing</span>;
  return (
    <span class="chips">
      {list.map(([reason, n]) => (
        <Badge key={reason} tone="warn">
          {reason} {count(n)}
        </Badge>
      ))}
    </span>
  );
}

function TargetCard({ name, t }: { name: string; t: Target }) {
  return (
    <Card
      title={<ServiceName name={name} />}
      note="what is done to calls there"
      actions={
        <Badge tone={circuits[t.breaker.state] ?? "quiet"} title="the circuit">
          circuit {t.breaker.state}
          {t.breaker.until ? ` until ${clock(t.breaker.until, false)}` : ""}
        </Badge>
      }
    >
      <div class="two">
        <dl class="pairs">
          <dt>Failed lately</dt>
          <dd>
            {count(t.breaker.failures)} of {count(t.breaker.calls)} ({percent(t.breaker.calls ? t.breaker.failures / t.breaker.calls : 0)})
          </dd>
          <dt>Made again</dt>
          <dd>
            {count(t.budget.again)}
            {t.budget.left >= 0 && <span class="quiet-text">, {count(t.budget.left)} more may be</span>}
          </dd>
          <dt>What was done</dt>
          <dd>
            <Counts of={t.counts} />
          </dd>
          {(t.instances ?? []).map((i) => [
            <dt key={i.instance}>Instance {i.instance.slice(0, 8)}</dt>,
            <dd key={i.instance + " "}>
              <Badge tone={i.state === "ejected" ? "bad" : i.state === "in service" ? "good" : "warn"}>{i.state}</Badge> {i.reason} {i.until && `until ${clock(i.until, false)}`}{" "}
              <span class="quiet-text">{i.latency_ms ? `${duration(i.latency_ms * 1e6)} on average` : ""}</span>
            </dd>,
          ])}
        </dl>
        <dl class="pairs">
          {Object.entries(t.policy)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={k + " "}>{v}</dd>])}
        </dl>
      </div>
    </Card>
  );
}
