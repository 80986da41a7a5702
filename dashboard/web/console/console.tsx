// Console: call any method of any service.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useQuery } from "../shell/api";
import { Badge, Button, Card, Copy, Segments, Select } from "../shell/controls";
import { ago, duration, short } from "../shell/format";
import { Icon } from "../shell/icons";
import { useKeys } from "../shell/keys";
import { provide } from "../shell/palette";
import { Frame, type Page } from "../shell/page";
import { go, href, param, setParams } from "../shell/router";
import { Empty, Failure, Loading } from "../shell/states";
import { services, system } from "../shell/system";
import { Answer } from "./answer";
import { call, finish, made, open, send, sending, type Made } from "./call";
import { curl, grpcurl, hanse, type Call } from "./commands";
import { Form } from "./form";
import { forget, history, remember, type Past } from "./history";
import { indent } from "./json";
import { unmark } from "./marks";
import "./console.css";
import { kind, parseChoice, type Contracts, type Message, type Method } from "./types";

/** milliseconds reads 500ms, 5s, 2m, or a number of seconds; NaN is none of these. */
function milliseconds(text: string): number {
  const m = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m)?\s*$/.exec(text);
  if (text.trim() === "") return 0;
  return m ? Math.round(Number(m[1]) * { ms: 1, s: 1000, m: 60_000 }[(m[2] ?? "s") as "ms" | "s" | "m"]) : NaN;
}

/** skeleton is a message with its first fields, to begin with in JSON. */
function skeleton(m: Message | undefined): string {
  const value: Record<string, unknown> = {};
  const oneofs = new Set<string>();
  for (const f of m?.fields ?? []) {
    if (f.oneof && oneofs.has(f.oneof)) continue;
    if (f.oneof) oneofs.add(f.oneof);
    if (f.kind === "string" && !f.repeated && !f.map) value[f.json] = "";
    else if (/int|fixed|double|float/.test(f.kind) && !f.repeated && !f.map) value[f.json] = 0;
  }
  return JSON.stringify(value, null, 2);
}

function parsed(text: string): { value?: Record<string, unknown>; error?: string } {
  if (text.trim() === "") return { value: {} };
  try {
    const v: unknown = JSON.parse(text);
    if (typeof v !== "object" || v === null || Array.isArray(v)) return { error: "a message is an object: { … }" };
    return { value: v as Record<string, unknown> };
  } catch (e) {
    return { error: (e as Error).message };
  }
}

// What was typed and is not in the address: metadata may hold secrets.
let keptMetadata: [string, string][] = [];
const bodies = new Map<string, string>(); // by method, while the page is open

function Console() {
  const choice = parseChoice(param("method"));
  const names = services.value.map((s) => s.name);
  const service = choice.service || names[0] || "";
  const known = useQuery<Contracts>(service ? "console/contracts" : undefined, { service });
  const contracts = known.data.value;
  const methods = useMemo(() => contracts?.contracts.flatMap((c) => c.methods.map((m) => ({ id: `${c.name}/${m.name}`, contract: c, method: m }))) ?? [], [contracts]);
  const wanted = `${choice.contract}/${choice.method}`;
  const current = methods.find((m) => m.id === wanted) ?? (choice.method === "" ? methods[0] : undefined);

  return (
    <Frame title="Console">
      {names.length === 0 && system.value ? (
        <Empty icon="console" title="No service runs yet" command="hanse dev">
          As soon as one does, its methods can be called from here.
        </Empty>
      ) : (
        <div class="console">
          <div class="console-left">
            <Card>
              <div class="console-pick">
                <div class="field">
                  <span class="label">Service</span>
                  <Select label="service" value={service} options={[...new Set([...names, service])].map((n) => ({ value: n, text: n }))} onChange={(v) => setParams({ method: v, body: "" }, true)} />
                </div>
                <div class="field grow">
                  <span class="label">Method</span>
                  <Select
                    label="method"
                    value={current?.id ?? ""}
                    options={methods.map((m) => ({ value: m.id, text: contracts!.contracts.length > 1 ? short(m.id) : m.method.name }))}
                    onChange={(v) => setParams({ method: `${service}/${v}`, body: "" }, true)}
                  />
                </div>
              </div>
              {known.error.value && <Failure error={known.error.value} retry={known.refetch} />}
              {!contracts && !known.error.value && <Loading rows={3} />}
              {contracts && !current && (
                <Failure error={methods.length === 0 ? { message: `${service} has no methods to call` } : { message: `${service} has no method ${wanted}`, advice: "choose one of those that it has" }} />
              )}
              {contracts && current && <Request key={`${service}/${current.id}`} service={service} id={current.id} method={current.method} contracts={contracts} />}
            </Card>
            <div class="console-history">
              <History />
            </div>
          </div>
          <div class="console-answer">
            <Card title="Answer">
              <Answer />
            </Card>
          </div>
        </div>
      )}
    </Frame>
  );
}

/** reveal scrolls to the answer where it stands below the request, and out of sight. */
function reveal(): void {
  requestAnimationFrame(() => document.querySelector(".console-answer")?.scrollIntoView({ block: matchMedia("(max-width: 1000px)").matches ? "start" : "nearest" }));
}

function Request({ service, id, method, contracts }: { service: string; id: string; method: Method; contracts: Contracts }) {
  const whole = `${service}/${id}`;
  const message = contracts.messages[method.input];
  // What is repeated may lack values that no trace holds: they are typed in again.
  const address = param("body");
  const given = useMemo(() => unmark(address, contracts, method.input), [address, contracts]);
  const [left, setLeft] = useState(given.left);
  const [text, setText] = useState(() => (address ? given.text : (bodies.get(whole) ?? skeleton(message))));
  const [metadata, setMetadata] = useState<[string, string][]>(keptMetadata);
  const view = param("view", "form");
  const timeout = param("timeout");
  const ms = milliseconds(timeout);
  const body = parsed(text);
  const stream = method.client_stream || method.server_stream;
  const refused = system.value?.read_only && !method.safe;

  // The address follows what is typed, so that a reload or a link has it; long messages stay here.
  const timer = useRef(0);
  const edit = (next: string) => {
    setText(next);
    bodies.set(whole, next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setParams({ method: whole, body: next.length <= 4000 ? next : "" }), 300);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  // Another body in the address (history, back) is another message here.
  useEffect(() => {
    if (!address || !parsed(address).value) return;
    if (indent(given.text) === indent(text)) return;
    setLeft(given.left);
    setText(given.text);
  }, [address]);

  const live = open.value && sending.value && made.value?.service === service && made.value.method === id;
  const pairs = metadata.filter(([n]) => n.trim() !== "").map(([n, v]): [string, string] => [n.trim(), v]);
  const wrong = body.error ?? (Number.isNaN(ms) ? "the deadline is no time: write 5s or 500ms" : undefined);
  const [copying, setCopying] = useState(false);
  const start = () => {
    if (wrong || refused) return;
    clearTimeout(timer.current);
    setParams({ method: whole, body: text.length <= 4000 ? text : "" });
    call(
      { service, method: id, metadata: pairs, timeout_ms: ms, message: method.client_stream && text.trim() === "" ? undefined : text.trim() || "{}", end: !method.client_stream },
      { clientStream: !!method.client_stream, serverStream: !!method.server_stream },
      (m, end) => {
        if (m.clientStream) reveal();
        remember({ method: whole, body: m.message ?? "", metadata: m.metadata, timeout, at: m.began, code: end.code === 0 ? "OK" : (end.code_name ?? ""), duration: end.at, trace: m.trace });
      },
    );
    if (!method.client_stream) reveal(); // else there is more to be written first
  };
  const callOrSend = () => (live ? !body.error && send(text.trim() || "{}") : start());
  useKeys([{ keys: "ctrl+Enter", what: "call the method, or send the message", group: "This page", run: callOrSend }], [text, whole, live, metadata, timeout]);

  return (
    <form
      class="request"
      onSubmit={(e) => {
        e.preventDefault();
        callOrSend();
      }}
    >
      <div class="request-what">
        <code class="ellipsis" title={id}>
          {id}
        </code>
        <Badge tone="quiet">{kind(method)}</Badge>
        {method.safe && <Badge tone="good">no side effects</Badge>}
        {method.deprecated && <Badge tone="warn">deprecated</Badge>}
      </div>
      {method.comment && <p class="form-comment">{method.comment}</p>}
      <div class="request-bar">
        <h3>{method.client_stream ? "First message" : "Message"}</h3>
        <small>{short(method.input)}</small>
        <span class="grow" />
        <Segments label="how the message is edited" value={view} options={[{ value: "form", text: "Form" }, { value: "json", text: "JSON" }]} onChange={(v) => setParams({ view: v === "form" ? "" : v })} />
      </div>
      {view === "json" ? (
        <textarea class="input" aria-label="message as JSON" rows={Math.min(24, Math.max(6, text.split("\n").length + 1))} spellcheck={false} aria-invalid={!!body.error} value={text} onInput={(e) => edit(e.currentTarget.value)} />
      ) : body.value ? (
        <Form contracts={contracts} type={method.input} value={body.value} left={left} onChange={(v) => edit(JSON.stringify(v, null, 2))} />
      ) : (
        <p class="note">The form shows the message again when its JSON is right.</p>
      )}
      {wrong && (
        <p class="form-wrong" role="alert">
          {wrong}
        </p>
      )}
      <details class="request-more" open={pairs.length > 0 || timeout !== ""}>
        <summary>
          Metadata and deadline {(pairs.length > 0 || timeout) && <span class="note">{[pairs.length && `${pairs.length}`, timeout].filter(Boolean).join(", ")}</span>}
        </summary>
        <Metadata
          pairs={metadata}
          onChange={(m) => {
            keptMetadata = m;
            setMetadata(m);
          }}
        />
        <div class="field deadline">
          <label for="deadline">Deadline</label>
          <input id="deadline" class="input" placeholder={stream ? "none" : "10s"} value={timeout} onInput={(e) => setParams({ timeout: e.currentTarget.value })} />
        </div>
      </details>
      <div class="request-do">
        {live ? (
          <>
            <Button type="submit" tone="primary" icon="send" disabled={!!body.error}>
              Send message
            </Button>
            <Button onClick={finish}>No more messages</Button>
          </>
        ) : (
          <Button type="submit" tone="primary" icon="send" disabled={!!wrong || refused}>
            Call
          </Button>
        )}
        <span class="note keys-note">
          <kbd>Ctrl</kbd> <kbd>Enter</kbd>
        </span>
        <span class="grow" />
        <Button small icon="copy" pressed={copying} aria-expanded={copying} onClick={() => setCopying(!copying)}>
          Copy as
        </Button>
      </div>
      {copying && (
        <Commands
          call={{ service, method: id, messages: [text.trim() || "{}"], metadata: pairs, timeout: ms || undefined, clientStream: !!method.client_stream, serverStream: !!method.server_stream, endpoint: endpointOf(service) }}
        />
      )}
      {refused && <p class="note">This system is only shown here: methods that are not marked NO_SIDE_EFFECTS are not called.</p>}
    </form>
  );
}

/** endpointOf is an address where programs on this machine can call a service without a certificate. */
function endpointOf(name: string): string | undefined {
  if (system.value?.gateway) return system.value.gateway;
  for (const i of services.value.find((s) => s.name === name)?.instances ?? [])
    for (const e of i.endpoints ?? []) {
      const m = /^tcp:\/\/([^/]+)/.exec(e);
      if (m) return m[1];
    }
  return undefined;
}

function Metadata({ pairs, onChange }: { pairs: [string, string][]; onChange: (p: [string, string][]) => void }) {
  return (
    <div class="metadata">
      {pairs.map(([n, v], i) => (
        <div class="form-item" key={i}>
          <input class="input" aria-label={`name of metadata ${i + 1}`} placeholder="name" value={n} spellcheck={false} onInput={(e) => onChange(pairs.map((p, j) => (j === i ? [e.currentTarget.value, p[1]] : p)))} />
          <input class="input" aria-label={`value of metadata ${i + 1}`} placeholder={n.endsWith("-bin") ? "base64" : "value"} value={v} spellcheck={false} onInput={(e) => onChange(pairs.map((p, j) => (j === i ? [p[0], e.currentTarget.value] : p)))} />
          <Button small tone="ghost" icon="close" label={`remove metadata ${i + 1}`} onClick={() => onChange(pairs.filter((_, j) => j !== i))} />
        </div>
      ))}
      <Button small icon="plus" onClick={() => onChange([...pairs, ["", ""]])}>
        Add metadata
      </Button>
    </div>
  );
}

/** Commands are the call for a terminal. */
function Commands({ call: c }: { call: Call }) {
  const list: { name: string; command?: string; why?: string }[] = [{ name: "hanse call", command: hanse(c) }, { name: "grpcurl", ...grpcurl(c) }, { name: "curl", ...curl(c) }];
  const box = useRef<HTMLUListElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), []);
  return (
    <ul class="commands" ref={box}>
      {list.map((l) => (
        <li key={l.name}>
          <div class="commands-head">
            <b>{l.name}</b>
            {l.command && <Copy text={l.command} label={`copy as ${l.name}`} />}
          </div>
          {l.command ? (
            <pre class="json" tabIndex={0} data-command={l.name}>
              {l.command}
            </pre>
          ) : (
            <p class="note">Not possible: {l.why}.</p>
          )}
        </li>
      ))}
    </ul>
  );
}

function History() {
  const all = history.value;
  const again = (p: Past) => {
    keptMetadata = p.metadata;
    setParams({ method: p.method, body: p.body, timeout: p.timeout }, true);
  };
  if (all.length === 0) return null;
  return (
    <Card
      title="History"
      note="kept in this browser"
      flush
      actions={
        <Button small tone="ghost" icon="trash" onClick={forget}>
          Clear
        </Button>
      }
    >
      <ul class="history">
        {all.map((p) => (
          <li key={`${p.at}${p.trace}`}>
            <button type="button" onClick={() => again(p)} title={p.body}>
              <Icon name={p.code === "OK" ? "good" : "bad"} size={13} />
              <span class="away">{p.code}</span>
              <span class="ellipsis">
                <b>{p.method.split("/")[0]}</b> {short(p.method.slice(p.method.indexOf("/") + 1))} <small>{p.body.replace(/\s+/g, " ")}</small>
              </span>
              <span class={`num ${p.code === "OK" ? "" : "bad-text"}`}>{p.code === "OK" ? duration(p.duration) : p.code}</span>
              <span class="note num">{ago(p.at)}</span>
            </button>
            <a href={href(`/traces/${p.trace}`)} aria-label="its trace" title="its trace">
              <Icon name="traces" size={14} />
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}

// The palette knows the methods that were called.
provide(() => history.value.slice(0, 20).map((p: Past) => ({ title: `Call ${short(p.method.slice(p.method.indexOf("/") + 1))} again`, group: "Console", icon: "console" as const, run: () => go(href("/console", { method: p.method, body: p.body })) })));

export type { Made };

export const console: Page = { title: "Console", path: /^\/console$/, component: Console, nav: "/console", icon: "console", keys: "g c", needs: "console" };
