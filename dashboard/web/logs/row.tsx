// One line of a log, and all that is known of it.
import { Badge, Button, Copy, ServiceName } from "../shell/controls";
import { tint } from "../shell/color";
import { clock, moment } from "../shell/format";
import { memo } from "../shell/memo";
import { text, type Attr } from "../traces/types";
import { tone, type Line } from "./types";
import { parts, term } from "./words";

function Marked({ text: t, words }: { text: string; words: string[] }) {
  return <>{parts(t, words).map((p, i) => (i % 2 ? <mark key={i}>{p}</mark> : p))}</>;
}

/** spanOf leads to the span that a line belongs to. */
export function spanOf(l: Line): string {
  return `/traces/${l.trace_id}${l.span_id ? "?span=" + l.span_id : ""}`;
}

// shown are the attributes that stand behind the message: where it came from has a place of its own.
function shown(attrs: Attr[] | undefined): Attr[] {
  return (attrs ?? []).filter((a) => a.key !== "instance" && a.key !== "stack");
}

/** Row is a line in the list. onChoose should be the same function each time. */
export const Row = memo(function Row({ line: l, words, chosen, place, of, onChoose }: { line: Line; words: string[]; chosen: boolean; place: number; of: number; onChoose: (line: Line) => void }) {
  const [first = "", ...rest] = l.message.split("\n");
  const attrs = shown(l.attrs);
  return (
    <div
      id={"line-" + l.id}
      class={`log-row ${tone(l)}${chosen ? " chosen" : ""}`}
      role="listitem"
      aria-posinset={place + 1}
      aria-setsize={of}
      aria-current={chosen ? "true" : undefined}
      onClick={() => (getSelection()?.isCollapsed ?? true) && onChoose(l)}
    >
      <time class="num" dateTime={l.time}>
        {clock(l.time)}
      </time>
      <span class="log-service tint" style={tint(l.service)} title={l.service}>
        {l.service}
      </span>
      <span class="log-level">{l.level ? l.level.slice(0, l.level.length > 5 ? 7 : 5) : ""}</span>
      <span class="log-text">
        <Marked text={first} words={words} />
        {rest.length > 0 && <span class="log-more"> +{rest.length}</span>}
        {attrs.slice(0, 12).map((a) => (
          <span class="log-attr" key={a.key}>
            {" "}
            <i>{a.key}=</i>
            <span class={a.key === "error" || a.key === "err" ? "bad-text" : ""}>
              <Marked text={text(a.value).slice(0, 400)} words={words} />
            </span>
          </span>
        ))}
      </span>
      {l.trace_id ? (
        <a class="log-trace" href={spanOf(l)} tabIndex={-1} title={"trace " + l.trace_id} aria-label={"trace " + l.trace_id.slice(0, 8)} onClick={(e) => e.stopPropagation()}>
          {l.trace_id.slice(0, 8)}
        </a>
      ) : (
        <span class="log-trace" />
      )}
    </div>
  );
});

/** Details is all of a line. */
export function Details({ line: l, onClose, onFilter }: { line: Line; onClose: () => void; onFilter: (term: string) => void }) {
  const all: Attr[] = [...(l.attrs ?? []), ...(l.resource ?? [])];
  const kind = tone(l);
  return (
    <aside class="log-details" aria-label="the chosen line">
      <header>
        <ServiceName name={l.service} />
        {l.level && <Badge tone={kind === "bad" || kind === "warn" ? kind : "quiet"}>{l.level}</Badge>}
        <span class="note num">{moment(l.time)}</span>
        <span class="grow" />
        <Copy text={JSON.stringify(l, null, 2)} label="copy the line as JSON" />
        <Button small tone="ghost" icon="close" label="close (Esc)" onClick={onClose} />
      </header>
      <pre tabIndex={0} aria-label="message">
        {l.message}
      </pre>
      {l.trace_id && (
        <p class="log-links">
          <a class="button small" href={spanOf(l)}>
            Open the trace
          </a>
          <Button small icon="filter" onClick={() => onFilter("trace:" + l.trace_id)}>
            Lines of the trace
          </Button>
        </p>
      )}
      {all.length > 0 && (
        <dl>
          {all.map((a) => {
            const value = text(a.value);
            return (
              <div key={a.key}>
                <dt>{a.key}</dt>
                <dd>{value}</dd>
                <dd class="log-acts">
                  <Button small tone="ghost" icon="plus" label={`only lines with this ${a.key}`} onClick={() => onFilter(term(a.key, value))} />
                  <Button small tone="ghost" icon="minus" label={`no lines with this ${a.key}`} onClick={() => onFilter("-" + term(a.key, value))} />
                </dd>
              </div>
            );
          })}
        </dl>
      )}
      {l.instance && <p class="note">instance {l.instance}</p>}
    </aside>
  );
}
