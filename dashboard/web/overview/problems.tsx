// What is wrong now, with its reason and a way to more of it.
import { ago, plural } from "../shell/format";
import { Icon } from "../shell/icons";
import { href } from "../shell/router";
import { services, system } from "../shell/system";
import type { Problem } from "../shell/types";

/** Wrong is a problem of any origin. */
interface Wrong {
  id: string;
  warning: boolean;
  title: string;
  reason: string;
  detail?: string;
  since?: string;
  service?: string;
  trace?: string;
  filter?: string;
}

/** all joins what the system knows (builds, processes) with what calls and logs tell. */
function all(told: Problem[]): Wrong[] {
  const list: Wrong[] = [];
  for (const text of system.value?.problems ?? []) {
    const [first = "", ...rest] = text.split("\n");
    list.push({ id: "system " + first, warning: false, title: first.replace(/:$/, ""), reason: "", detail: rest.join("\n") });
  }
  for (const s of services.value)
    for (const i of s.instances)
      if (i.state === "failed")
        list.push({
          id: `process ${s.name} ${i.id}`,
          warning: false,
          title: `${s.name} does not run`,
          reason: `${i.reason ?? "it ended"}${i.restarts && i.restarts > 1 ? `, ${i.restarts} times` : ""}; it is started again`,
          detail: i.last?.slice(-4).join("\n"),
          service: s.name,
        });
  for (const p of told)
    list.push({ id: p.id, warning: p.severity === "warning", title: p.title, reason: p.reason, since: p.since, service: p.service, trace: p.trace_id, filter: p.filter });
  return list.sort((a, b) => Number(a.warning) - Number(b.warning));
}

/** Problems is pinned at the top of the overview. */
export function Problems({ told }: { told: Problem[] }) {
  const list = all(told);
  const count = services.value.filter((s) => s.instances.length > 0).length;
  if (list.length === 0) {
    if (count === 0) return null;
    return (
      <p class="fine" role="status">
        <Icon name="good" /> Nothing is wrong now. {plural(count, "service")} {count === 1 ? "runs" : "run"}.
      </p>
    );
  }
  return (
    <section class={`problems${list.every((w) => w.warning) ? " warn" : ""}`} aria-label="what is wrong now">
      {list.slice(0, 8).map((w) => (
        <article key={w.id} class={`problem ${w.warning ? "warning" : ""}`}>
          <Icon name={w.warning ? "warn" : "bad"} />
          <div>
            <strong>{w.title}</strong>
            <p>
              {w.reason}
              {w.since && <span class="quiet-text"> · since {ago(w.since).replace(" ago", "")}</span>}
            </p>
            {w.detail && <pre>{w.detail}</pre>}
          </div>
          <nav aria-label={`more of: ${w.title}`}>
            {w.trace && <a href={"/traces/" + w.trace}>Trace</a>}
            {(w.filter || w.service) && <a href={href("/logs", { q: w.trace ? `trace:${w.trace}` : (w.filter ?? `service:${w.service}`) })}>Logs</a>}
            {w.service && <a href={"/services/" + encodeURIComponent(w.service)}>Service</a>}
          </nav>
        </article>
      ))}
      {list.length > 8 && <p class="problem quiet-text">and {list.length - 8} more</p>}
    </section>
  );
}
