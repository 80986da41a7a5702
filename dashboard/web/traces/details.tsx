// All that is known of one span.
import type { ComponentChildren } from "preact";
import { Badge, Button, Copy, ServiceName } from "../shell/controls";
import { clock, duration, percent, short } from "../shell/format";
import { go, href } from "../shell/router";
import { alone, bodies, calls, type Body, type Tree } from "./tree";
import { text, type Attr, type Log, type Span } from "./types";

// value of an attribute in the grammar of the search.
function term(key: string, value: unknown): string {
  const v = text(value);
  return `${key}:${/^[^\s"/,*][^\s",*]*$/.test(v) ? v : '"' + v.replace(/(["\\])/g, "\\$1") + '"'}`;
}

function Attributes({ list, title, search }: { list: Attr[] | undefined; title: string; search?: boolean }) {
  if (!list?.length) return null;
  return (
    <section class="details-part">
      <h3>{title}</h3>
      <dl class="attrs">
        {[...list]
          .sort((a, b) => a.key.localeCompare(b.key))
          .map((a) => (
            <div key={a.key}>
              <dt>{a.key}</dt>
              <dd>
                <code>{text(a.value)}</code>
                {search && <Button small tone="ghost" icon="search" label={`traces with this ${a.key}`} onClick={() => go(href("/traces", { q: term(a.key, a.value) }))} />}
                <Copy text={text(a.value)} label={`copy ${a.key}`} />
              </dd>
            </div>
          ))}
      </dl>
    </section>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function Message({ body }: { body: Body }) {
  return (
    <section class="details-part">
      <h3>
        {body.title}
        {body.redacted && (
          <Badge tone="info" title="fields marked debug_redact were left out by the program">
            redacted
          </Badge>
        )}
        {body.cut && (
          <Badge tone="warn" title="it was longer than what a program keeps of a message">
            cut
          </Badge>
        )}
        <span class="grow" />
        <Copy text={pretty(body.json)} label={`copy the ${body.title.toLowerCase()}`} />
      </h3>
      <pre class="body" tabIndex={0}>
        {pretty(body.json)}
      </pre>
    </section>
  );
}

/** Refused is the status of a call that its caller got wrong: the server did what it should. */
export function Refused({ code }: { code: string | undefined }) {
  return <Badge title="the caller asked for what it cannot have; the server did not fail">{code}</Badge>;
}

/** LogLines are lines of logs with their offset in the trace. */
export function LogLines({ tree, logs, onSpan }: { tree: Tree; logs: Log[]; onSpan?: (id: string) => void }) {
  return (
    <ul class="details-logs">
      {logs.map((l) => (
        <li key={l.id} class={(l.severity ?? 0) >= 17 ? "bad" : (l.severity ?? 0) >= 13 ? "warn" : ""}>
          <span class="num">{duration(tree.when(l.time))}</span>
          <b>{l.level || "–"}</b>
          <a href={href("/logs", { q: `trace:${tree.trace.trace_id}`, line: l.id })}>{l.message}</a>
          {onSpan && l.span_id && (
            <button type="button" class="link" onClick={() => onSpan(l.span_id!)}>
              {l.service}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="num">{children}</dd>
    </div>
  );
}

/** Details shows a span: what it was, what it carried, what was logged in it. */
export function Details({ tree, index, onClose }: { tree: Tree; index: number; onClose: () => void }) {
  const s: Span = tree.spans[index]!;
  const call = calls(tree, s);
  const messages = bodies(s);
  const request = messages.find((b) => b.title === "Request" && !b.cut);
  const logs = tree.logs.get(s.span_id) ?? [];
  const events = (s.events ?? []).filter((e) => e.name !== "hanse.request" && e.name !== "hanse.response");
  return (
    <aside class="details" aria-label="span">
      <header>
        {s.gap ? <strong>{s.running ? "running" : "not recorded"}</strong> : <ServiceName name={s.service} />}
        <span class="grow" />
        <Button icon="close" tone="ghost" small label="close the span (Esc)" onClick={onClose} />
      </header>
      <h2 title={s.name}>{s.running ? "A stream that goes on" : s.gap ? "A span that is missing" : short(s.name)}</h2>
      {s.running ? (
        <p class="note">Its span comes at its end. Until then its times are those of what is below it.</p>
      ) : s.gap ? (
        <p class="note">
          The spans below name {s.span_id} as what caused them, and nobody sent it: its trace was not sampled there, it was dropped on the way, or its program sends nothing. Its times are those of
          what is below it.
        </p>
      ) : (
        <div class="details-tags">
          <Badge>{s.kind}</Badge>
          {s.status === "error" ? <Badge tone="bad">failed</Badge> : s.status === "ok" ? <Badge tone="good">ok</Badge> : s.status === "refused" ? <Refused code={s.code} /> : null}
          {s.critical && <Badge tone="info">critical path</Badge>}
        </div>
      )}
      {s.message && <p class={`details-message ${s.status === "error" ? "bad" : ""}`}>{s.message}</p>}
      <dl class="facts">
        <Fact name="took">{duration(s.duration)}</Fact>
        <Fact name="alone">{duration(alone(tree, index))}</Fact>
        <Fact name="of the trace">{percent(s.duration / tree.length)}</Fact>
        <Fact name="began after">{duration(tree.start[index]!)}</Fact>
      </dl>
      {call && (
        <div class="details-actions">
          <Button small icon="console" onClick={() => go(href("/console", { method: `${call.service}/${call.method}`, body: request?.json }))}>
            Open in console
          </Button>
          <Button small icon="search" onClick={() => go(href("/traces", { service: s.service, method: s.name }))}>
            Calls like this
          </Button>
        </div>
      )}
      {messages.map((b, i) => (
        <Message key={i} body={b} />
      ))}
      {logs.length > 0 && (
        <section class="details-part">
          <h3>Logs</h3>
          <LogLines tree={tree} logs={logs} />
        </section>
      )}
      {events.length > 0 && (
        <section class="details-part">
          <h3>Events</h3>
          {events.map((e, i) => (
            <div key={i} class="event">
              <p>
                <span class="num">{duration(tree.when(e.time))}</span> <b>{e.name}</b>
              </p>
              <Attributes list={e.attrs} title="" />
            </div>
          ))}
        </section>
      )}
      {(s.links?.length ?? 0) > 0 && (
        <section class="details-part">
          <h3>Links</h3>
          {s.links!.map((l, i) => (
            <p key={i}>
              <a href={href("/traces/" + l.trace_id, { span: l.span_id })}>
                <code>
                  {l.trace_id.slice(0, 8)}… {l.span_id}
                </code>
              </a>
            </p>
          ))}
        </section>
      )}
      <Attributes list={s.attrs} title="Attributes" search />
      <Attributes list={s.resource} title="Program" />
      <section class="details-part">
        <h3>IDs</h3>
        <dl class="attrs">
          <div>
            <dt>span</dt>
            <dd>
              <code>{s.span_id}</code>
              <Copy text={s.span_id} label="copy the span's ID" />
            </dd>
          </div>
          {s.instance && (
            <div>
              <dt>instance</dt>
              <dd>
                <code>{s.instance}</code>
              </dd>
            </div>
          )}
          <div>
            <dt>began at</dt>
            <dd class="num">{clock(s.start)}</dd>
          </div>
          {s.scope && (
            <div>
              <dt>made by</dt>
              <dd>
                <code>{s.scope}</code>
              </dd>
            </div>
          )}
        </dl>
        {(s.lost ?? 0) > 0 && <p class="note">The program left out {s.lost} attributes, events or links.</p>}
      </section>
    </aside>
  );
}
