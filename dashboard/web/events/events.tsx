// Events: topics and who handles them, what is stored, replay, and dead letters.
import { useEffect, useState } from "preact/hooks";
import { Json } from "../console/json";
import { get, post, useQuery, type Query } from "../shell/api";
import { Badge, Button, Card, Search, Select } from "../shell/controls";
import { ago, bytes, count, moment, plural, rate } from "../shell/format";
import { paused } from "../shell/live";
import { Frame, type Page } from "../shell/page";
import { href, param, setParams } from "../shell/router";
import { Empty, Loaded } from "../shell/states";
import { system } from "../shell/system";
import { Table } from "../shell/table";
import { attempt } from "../shell/toast";
import "./events.css";

interface Topic {
  topic: string;
  events: number;
  bytes: number;
  lastMinute: number;
  waiting: number;
  last: number;
  lastTime?: string;
  dead: number;
  groups: { group: string; ordered: boolean; lag: number; inFlight: number; oldest?: string; members: string[] | null }[];
}

interface Stored {
  sequence: number;
  stored?: string;
  time: string;
  id: string;
  source: string;
  type: string;
  key?: string;
  trace?: string;
  onlyFor?: string;
  metadata?: Record<string, string>;
  dead?: { group: string; attempts: number; error: string; id: string; sequence: number; time: string };
  data?: unknown;
  dataBase64?: string;
  unreadable?: string;
}

interface Replayed {
  events: number;
  left: number;
  first?: number;
  last?: number;
  firstTime?: string;
  lastTime?: string;
  redelivered: number;
}

/** useTicking asks again every two seconds, while the page is looked at. */
export function useTicking<T>(q: Query<T>, every = 2000): Query<T> {
  useEffect(() => {
    const timer = setInterval(() => !paused.peek() && !document.hidden && q.refetch(), every);
    return () => clearInterval(timer);
  }, [q]);
  return q;
}

function Events() {
  const q = useTicking(useQuery<Topic[]>("events/topics"));
  const chosen = param("topic");
  const rows = q.data.value?.flatMap((t) => (t.groups.length ? t.groups : [undefined]).map((g, i) => ({ t, g, first: i === 0 })));
  const topic = q.data.value?.find((t) => t.topic === chosen);
  return (
    <Frame title="Events">
      <Card title="Topics" flush>
        <Loaded query={q}>
          {() => (
            <Table
              label="topics"
              rows={rows!}
              id={(r) => `${r.t.topic} ${r.g?.group ?? ""}`}
              link={(r) => href("/events", { topic: r.t.topic })}
              active={rows!.find((r) => r.t.topic === chosen) && `${chosen} ${topic?.groups[0]?.group ?? ""}`}
              columns={[
                { id: "topic", title: "Topic", width: "minmax(0, 2fr)", render: (r) => r.first && <b class="ellipsis">{r.t.topic}</b> },
                { id: "events", title: "Events", width: "70px", end: true, render: (r) => r.first && count(r.t.events) },
                { id: "rate", title: "Rate", width: "80px", end: true, narrow: "hide", render: (r) => r.first && rate(r.t.lastMinute / 60) },
                { id: "size", title: "Size", width: "80px", end: true, narrow: "hide", render: (r) => r.first && bytes(r.t.bytes) },
                { id: "dead", title: "Dead", width: "60px", end: true, render: (r) => r.first && (r.t.dead > 0 ? <Badge tone="bad">{count(r.t.dead)}</Badge> : "0") },
                { id: "group", title: "Consumer", width: "minmax(0, 2fr)", render: (r) => (r.g ? <span class="ellipsis">{r.g.group + (r.g.ordered ? ", by key" : "")}</span> : <small>none</small>) },
                { id: "lag", title: "Lag", width: "60px", end: true, render: (r) => r.g && <span class={r.g.lag > 0 ? "warn-text" : ""}>{count(r.g.lag)}</span> },
                { id: "hand", title: "In hand", width: "70px", end: true, narrow: "hide", render: (r) => r.g && count(r.g.inFlight) },
                { id: "oldest", title: "Oldest", width: "90px", end: true, narrow: "hide", render: (r) => r.g?.oldest && ago(r.g.oldest) },
                { id: "members", title: "Members", width: "70px", end: true, narrow: "hide", render: (r) => r.g?.members && count(r.g.members.length) },
              ]}
              empty={
                <Empty icon="events" title="No topics yet" command="hanse events ls">
                  A topic is made when a service that declares or subscribes it starts.
                </Empty>
              }
            />
          )}
        </Loaded>
      </Card>
      {topic && (
        <>
          {topic.groups.length > 0 && !system.value?.read_only && <Replay key={topic.topic} topic={topic} />}
          {topic.dead > 0 && <Dead key={`${topic.topic} dead`} topic={topic.topic} count={topic.dead} />}
          <Messages key={`${topic.topic} messages`} topic={topic.topic} last={topic.last} />
        </>
      )}
    </Frame>
  );
}

function Messages({ topic, last }: { topic: string; last: number }) {
  const before = param("before");
  const q = useQuery<{ events: Stored[]; next?: number; scanned: number }>("events/messages", { topic, before, q: param("q"), limit: 50 });
  useEffect(() => {
    if (!before && !paused.peek()) q.refetch();
  }, [last]);
  return (
    <Card title="Messages" note={topic} actions={<Search label="search messages" value={param("q")} onChange={(v) => setParams({ q: v, before: "" })} />}>
      <Loaded query={q}>
        {(page) => (
          <>
            {page.events.map((e) => (
              <Message key={e.sequence} event={e} />
            ))}
            {page.events.length === 0 && <Empty icon="events" title={param("q") ? "No message has this text" : "It holds no messages"} command={`hanse events tail ${topic}`} />}
            <div class="request-do">
              {before && (
                <Button small icon="left" onClick={() => setParams({ before: "" })}>
                  Newest
                </Button>
              )}
              {page.next && (
                <Button small icon="right" onClick={() => setParams({ before: page.next })}>
                  Older
                </Button>
              )}
            </div>
          </>
        )}
      </Loaded>
    </Card>
  );
}

function Message({ event: e, children }: { event: Stored; children?: preact.ComponentChildren }) {
  return (
    <details class="event-row">
      <summary>
        <code class="num">#{e.sequence}</code> <span class="num note">{moment(e.stored ?? e.time)}</span> {e.key && <b>{e.key}</b>} <span class="ellipsis note">{e.dead ? e.dead.error : JSON.stringify(e.data ?? e.unreadable)}</span>
        {e.onlyFor !== undefined && <Badge tone="info">once more for {e.onlyFor || "each instance"}</Badge>}
      </summary>
      <div class="message-body">
        {e.dead && (
          <p class="bad-text">
            {e.dead.group || "each instance"}, after {plural(e.dead.attempts, "attempt")}: {e.dead.error}
          </p>
        )}
        <p class="note">
          {e.type} from {e.source}, ID {e.id} {e.trace && <a href={href(`/traces/${e.trace}`)}>open its trace</a>}
          {Object.entries(e.metadata ?? {}).map(([n, v]) => ` ${n}: ${v}`)}
        </p>
        {e.unreadable && <p class="warn-text">{e.unreadable}</p>}
        <Json text={e.data !== undefined ? JSON.stringify(e.data) : (e.dataBase64 ?? "")} />
        {children}
      </div>
    </details>
  );
}

/** Replay counts first, and does what was counted when that is confirmed. */
function Replay({ topic }: { topic: Topic }) {
  const [group, setGroup] = useState(topic.groups[0]!.group);
  const [from, setFrom] = useState("beginning");
  const [counted, setCounted] = useState<Replayed>();
  const order = { topic: topic.topic, group, from: /^\d{4}-/.test(from) ? new Date(from).toISOString() : from };
  const change = <T,>(f: (v: T) => void) => (v: T) => (f(v), setCounted(undefined));
  return (
    <Card title="Replay" note="have one consumer handle stored events once more">
      <div class="console-pick">
        <Select label="consumer" value={group} options={topic.groups.map((g) => ({ value: g.group, text: g.group }))} onChange={change(setGroup)} />
        <input class="input replay-from" aria-label="from" title="beginning, the number of an event, or a time such as 2026-01-31T12:00" value={from} onInput={(e) => change(setFrom)(e.currentTarget.value)} />
        <Button onClick={() => void attempt(async () => setCounted(await get<Replayed>("events/replay", order)))}>Count</Button>
      </div>
      {counted && (
        <div class="request-do" role="status">
          <span>
            {counted.events === 0 ? "No events are meant." : `${plural(counted.events, "event")}: #${counted.first} to #${counted.last}, stored from ${moment(counted.firstTime!)} to ${moment(counted.lastTime!)}.`}
            {counted.left > 0 && ` ${plural(counted.left, "redelivery", "redeliveries")} left out.`}
          </span>
          {counted.events > 0 && (
            <Button
              tone="primary"
              onClick={() => void attempt(() => post("events/replay", { ...order, to: String(counted.last) }), `${plural(counted.events, "event")} redelivered to ${group}`).then(() => setCounted(undefined))}
            >
              Have {group} handle {counted.events === 1 ? "it" : "them"} once more
            </Button>
          )}
        </div>
      )}
    </Card>
  );
}

function Dead({ topic, count: now }: { topic: string; count: number }) {
  const q = useQuery<{ letters: Stored[]; total: number; last: number; groups: { group: string; count: number }[] }>("events/dead", { topic });
  const [what, setWhat] = useState<"redeliver" | "drop">();
  const looks = system.value?.read_only;
  useEffect(() => q.refetch(), [now]);
  const act = (what: string, which: object, done: string) => void attempt(() => post("events/dead", { topic, do: what, ...which }), done).then(() => (setWhat(undefined), q.refetch()));
  return (
    <Card title="Dead letters" note="what no handler could handle">
      <Loaded query={q}>
        {(d) => (
          <>
            <div class="request-do">
              {looks ? null : what ? (
                <>
                  <span role="status">
                    {what === "drop" ? "Drop for good" : "Redeliver"} {plural(d.total, "dead letter")}: {d.groups.map((g) => `${g.count} of ${g.group || "each instance"}`).join(", ")}?
                  </span>
                  <Button tone={what === "drop" ? "danger" : "primary"} onClick={() => act(what, { last: d.last }, `${plural(d.total, "dead letter")} done`)}>
                    Yes, {what}
                  </Button>
                  <Button onClick={() => setWhat(undefined)}>No</Button>
                </>
              ) : (
                <>
                  <Button small onClick={() => setWhat("redeliver")}>
                    Redeliver all
                  </Button>
                  <Button small tone="danger" onClick={() => setWhat("drop")}>
                    Drop all
                  </Button>
                </>
              )}
            </div>
            {d.letters.map((e) => (
              <Message key={e.sequence} event={e}>
                {!looks && (
                  <div class="request-do">
                    <Button small onClick={() => act("redeliver", { numbers: [e.sequence] }, "redelivered")}>
                      Redeliver
                    </Button>
                    <Button small tone="danger" onClick={() => act("drop", { numbers: [e.sequence] }, "dropped")}>
                      Drop
                    </Button>
                  </div>
                )}
              </Message>
            ))}
          </>
        )}
      </Loaded>
    </Card>
  );
}

export const events: Page = { title: "Events", path: /^\/events$/, component: Events, nav: "/events", icon: "events", keys: "g e", needs: "events" };
