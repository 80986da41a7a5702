// How the instances of a service do, as they say themselves: what is not well stands above all, the rest with the instances.
import { useQuery } from "../shell/api";
import { Badge, Card } from "../shell/controls";
import { Icon } from "../shell/icons";
import { Empty, Loaded } from "../shell/states";
import type { Check, Service } from "../shell/system";
import { Table } from "../shell/table";

interface Told {
  instance: string;
  replica?: number;
  error?: string;
  report?: { checks: { service: string; check: string; reason?: string; warning?: boolean }[] | null };
}

/** label is how an instance is called on this page. */
const label = (i: { id: string; replica?: number }) => (i.replica ? `#${i.replica}` : i.id.slice(0, 8));

/** Unwell is what instances say is not well with them. */
export function Unwell({ service }: { service: Service }) {
  const found = new Map<string, { check: Check; where: string[] }>();
  for (const i of service.instances)
    for (const check of i.failing ?? []) {
      const key = JSON.stringify([check.name, check.reason]);
      const one = found.get(key) ?? { check, where: [] };
      one.where.push(label(i));
      found.set(key, one);
    }
  if (!found.size) return null;
  const list = [...found.values()];
  return (
    <section class={`problems${list.every((f) => f.check.warning) ? " warn" : ""}`} aria-label="what is not well">
      {list.map(({ check: c, where }) => (
        <article key={c.name + c.reason} class={`problem ${c.warning ? "warning" : ""}`}>
          <Icon name={c.warning ? "warn" : "bad"} />
          <div>
            <strong>
              {c.name} {c.warning ? "is not well" : "is down"}
            </strong>
            <p>
              {c.reason}
              <span class="quiet-text">
                {c.warning ? " · calls are taken nevertheless" : ""}
                {where.length < service.instances.length ? ` · instance ${where.join(", ")}` : ""}
              </span>
            </p>
          </div>
        </article>
      ))}
    </section>
  );
}

interface Row {
  id: string;
  check: string; // "": the instance says nothing
  where: string;
  reason?: string;
  warning?: boolean;
}

function rowsOf(i: Told): Row[] {
  const where = label({ id: i.instance, replica: i.replica });
  if (!i.report) return [{ id: i.instance, check: "", where, reason: i.error, warning: true }];
  return (i.report.checks ?? []).map((c) => ({ id: `${i.instance} ${c.check}`, check: c.check, where, reason: c.reason, warning: c.warning }));
}

/** Checks is all that instances look at, also what is well. */
export function Checks({ path, service }: { path: string; service: Service }) {
  const any = service.instances.some((i) => i.admin);
  const q = useQuery<{ instances: Told[] }>(any ? path + "/health" : undefined, {}, ["system", "metrics"], 3000);
  if (!any) return null;
  return (
    <Card title="Checks" note="what instances say of themselves" flush>
      <Loaded query={q}>
        {({ instances }) => {
          const rows = instances.flatMap(rowsOf);
          return (
            <Table
              label="checks"
              rows={rows}
              id={(r) => r.id}
              param="checks"
              columns={[
                { id: "check", title: "Check", width: "minmax(80px, 1fr)", value: (r) => r.check, render: (r) => <strong class="ellipsis">{r.check || "–"}</strong> },
                { id: "state", title: "State", width: "84px", value: (r) => (r.reason ? (r.warning ? 1 : 0) : 2), render: (r) => <Badge tone={!r.reason ? "good" : r.warning ? "warn" : "bad"}>{!r.check ? "unknown" : !r.reason ? "well" : r.warning ? "not well" : "down"}</Badge> },
                { id: "instance", title: "Instance", width: "84px", narrow: "hide", value: (r) => r.where, render: (r) => <code>{r.where}</code> },
                { id: "reason", title: "Reason", width: "minmax(0, 3fr)", render: (r) => (r.reason ? <span class="ellipsis" title={r.reason}>{r.reason}</span> : <span class="quiet-text">–</span>) },
              ]}
              empty={<Empty icon="service" title="It has no checks" />}
            />
          );
        }}
      </Loaded>
    </Card>
  );
}
