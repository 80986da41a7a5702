// What comes of a call: messages as they come, how it ended, and its trace.
import { useEffect, useRef } from "preact/hooks";
import { useQuery } from "../shell/api";
import { tint } from "../shell/color";
import { Badge, Button } from "../shell/controls";
import { bytes, count, duration, plural, short } from "../shell/format";
import { Icon } from "../shell/icons";
import { href } from "../shell/router";
import { Empty } from "../shell/states";
import { system } from "../shell/system";
import type { Trace } from "../traces/types";
import { cancel, dropped, entries, made, open, type Detail, type Entry } from "./call";
import { Json } from "./json";

/** Answer shows the call that was made last. */
export function Answer() {
  const m = made.value;
  const all = entries.value;
  const end = all.at(-1)?.type === "end" ? all.at(-1) : undefined;
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const el = box.current;
    if (el && atEnd.current) el.scrollTop = el.scrollHeight;
  }, [all.length]);
  if (!m)
    return (
      <Empty icon="console" title="Nothing was called yet">
        Choose a method, fill in its message and press Call, or Ctrl+Enter. The answer and the trace of the call appear here.
      </Empty>
    );
  const stream = m.clientStream || m.serverStream;
  const came = all.filter((e) => e.type === "message");
  const header = all.find((e) => e.type === "header");
  return (
    <div class="answer">
      <div class="answer-head" role="status" aria-live="polite">
        {open.value ? <Badge tone="info">{stream ? "open" : "waiting"}</Badge> : end && <Status end={end} />}
        {end && <span class="num">{duration(end.at)}</span>}
        {stream && <span class="note num">{plural(came.length + dropped.value, "message")}</span>}
        {!stream && came[0]?.bytes !== undefined && <span class="note num">{bytes(came[0].bytes)}</span>}
        {end?.instance && (
          <span class="note ellipsis" title={end.endpoint}>
            by {end.instance.slice(0, 12)}
            {(end.attempts ?? 1) > 1 && `, attempt ${end.attempts}`}
          </span>
        )}
        <span class="grow" />
        {open.value && (
          <Button small tone="danger" icon="stop" onClick={cancel}>
            Cancel
          </Button>
        )}
      </div>
      {stream ? (
        <div
          class="stream"
          ref={box}
          tabIndex={0}
          role="log"
          aria-label="messages"
          onScroll={(e) => {
            const el = e.currentTarget;
            atEnd.current = el.scrollHeight - el.scrollTop - el.clientHeight < 24;
          }}
        >
          {dropped.value > 0 && <p class="note">{count(dropped.value)} older entries are not kept</p>}
          {all.map((e) => e.type !== "end" && e.type !== "header" && <Line key={e.no} entry={e} />)}
          {open.value && all.length === 0 && <p class="note">Waiting for the first message.</p>}
        </div>
      ) : (
        <>
          {all.filter((e) => e.type === "refused").map((e) => <Line key={e.no} entry={e} />)}
          {came.map((e) => <Json key={e.no} text={e.text ?? ""} label="answer" />)}
        </>
      )}
      {end && end.code !== 0 && (
        <div class="answer-error">
          <strong>{end.text || end.code_name}</strong>
          {end.details?.map((d, i) => <DetailView key={i} detail={d} />)}
        </div>
      )}
      {(header || (end?.metadata?.length ?? 0) > 0) && (
        <details class="answer-meta">
          <summary>
            Headers and trailers <span class="note num">{(header?.metadata?.length ?? 0) + (end?.metadata?.length ?? 0)}</span>
          </summary>
          <Pairs title="header" pairs={header?.metadata} />
          <Pairs title="trailer" pairs={end?.metadata} />
        </details>
      )}
      {(!system.value || system.value.pages.includes("traces")) && <CallTrace id={m.trace} />}
    </div>
  );
}

function Status({ end }: { end: Entry }) {
  return <Badge tone={end.code === 0 ? "good" : end.code === 1 ? "quiet" : "bad"}>{end.code === 0 ? "OK" : `${end.code_name} (${end.code})`}</Badge>;
}

function Line({ entry: e }: { entry: Entry }) {
  const way = e.type === "sent" ? "sent" : e.type === "message" ? "received" : "not sent";
  return (
    <div class={`line ${e.type}`}>
      <span class="line-way" title={way}>
        <Icon name={e.type === "sent" ? "up" : e.type === "message" ? "down" : "bad"} size={13} />
        <span class="away">{way}</span>
        <small class="num">{duration(e.at)}</small>
      </span>
      {e.type === "refused" ? <p class="bad-text">{e.error}</p> : <Json text={e.text ?? "{}"} />}
    </div>
  );
}

function DetailView({ detail: d }: { detail: Detail }) {
  return (
    <div class="answer-detail">
      <code>{d.type}</code>
      <Json text={JSON.stringify(d.value)} label={d.type} />
    </div>
  );
}

function Pairs({ title, pairs }: { title: string; pairs?: [string, string][] }) {
  if (!pairs?.length) return null;
  return (
    <table class="pairs">
      <caption>{title}</caption>
      <tbody>
        {pairs.map(([n, v], i) => (
          <tr key={i}>
            <th scope="row">{n}</th>
            <td>{v}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const mostSpans = 40;

/** CallTrace is the trace of the call, as far as it has come. */
function CallTrace({ id }: { id: string }) {
  const q = useQuery<Trace>(`traces/${id}`, {}, ["spans"], 500);
  const t = q.data.value?.trace_id === id ? q.data.value : undefined;
  const spans = t?.spans.filter((s) => !s.gap).slice(0, mostSpans) ?? [];
  const start = spans.length ? Math.min(...spans.map((s) => Date.parse(s.start))) : 0;
  const whole = Math.max(1, ...spans.map((s) => Date.parse(s.start) - start + s.duration / 1e6));
  const top = Math.min(...spans.map((s) => s.depth));
  return (
    <section class="call-trace" aria-label="trace of the call">
      <header>
        <h3>Trace</h3>
        {t && (
          <span class="note num">
            {plural(t.spans.length, "span")} of {plural(t.services.length, "service")}
          </span>
        )}
        <span class="grow" />
        {t && <a href={href(`/traces/${id}`)}>Open the trace</a>}
      </header>
      {spans.map((s) => (
        <a class="call-span" key={s.span_id} href={href(`/traces/${id}`, { span: s.span_id })} style={tint(s.service)}>
          <span class="ellipsis" style={{ paddingLeft: `${Math.min(8, s.depth - top) * 12}px` }}>
            <b class="tint">{s.service}</b> {short(s.name)}
          </span>
          <span class="call-bar" aria-hidden="true">
            <i
              class={s.status === "error" ? "failed" : "tint-fill"}
              style={{ left: `${((Date.parse(s.start) - start) / whole) * 100}%`, width: `${Math.max(0.6, (s.duration / 1e6 / whole) * 100)}%` }}
            />
          </span>
          <span class="num end">{duration(s.duration)}</span>
        </a>
      ))}
      {t && t.spans.length > mostSpans && <p class="note">and {count(t.spans.length - mostSpans)} more</p>}
      {!t && <p class="note">Its spans arrive within two seconds of the call. Its ID is {id}.</p>}
    </section>
  );
}
