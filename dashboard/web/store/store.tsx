// Store: buckets, their keys, and values as far as they can be read.
import { useState } from "preact/hooks";
import { Json } from "../console/json";
import { useTicking } from "../events/events";
import { post, useQuery } from "../shell/api";
import { Badge, Button, Card, Search } from "../shell/controls";
import { ago, bytes, count, moment } from "../shell/format";
import { Frame, type Page } from "../shell/page";
import { href, param, setParams } from "../shell/router";
import { Empty, Loaded } from "../shell/states";
import { Table } from "../shell/table";
import { attempt } from "../shell/toast";

interface Bucket {
  name: string;
  type: string;
  records: number;
  bytes: number;
  time?: string;
  internal?: boolean;
}

interface Value {
  key: string;
  revision: number;
  time: string;
  bytes: number;
  type: string;
  json?: unknown;
  text?: string;
  base64?: string;
  note?: string;
  editable?: boolean;
}

function hex(base64: string): string {
  return Array.from(atob(base64), (c, i) => c.charCodeAt(0).toString(16).padStart(2, "0") + (i % 16 === 15 ? "\n" : " ")).join("");
}

function Store() {
  const q = useTicking(useQuery<Bucket[]>("store/buckets"), 5000);
  const bucket = param("bucket");
  return (
    <Frame title="Store">
      <Card title="Buckets" flush>
        <Loaded query={q}>
          {(list) => (
            <Table
              label="buckets"
              rows={list}
              id={(b) => b.name}
              link={(b) => href("/store", { bucket: b.name })}
              sort="name"
              active={bucket}
              columns={[
                { id: "name", title: "Bucket", value: (b) => b.name, render: (b) => [<b class="ellipsis">{b.name}</b>, b.internal && <Badge>Hanse's own</Badge>] },
                { id: "type", title: "Values", narrow: "hide", value: (b) => b.type, render: (b) => <code class="ellipsis">{b.type}</code> },
                { id: "records", title: "Records", width: "80px", end: true, value: (b) => b.records, render: (b) => count(b.records) },
                { id: "bytes", title: "Size", width: "90px", end: true, value: (b) => b.bytes, render: (b) => bytes(b.bytes) },
                { id: "time", title: "Written", width: "100px", end: true, narrow: "hide", value: (b) => b.time, render: (b) => b.time && ago(b.time) },
              ]}
              empty={
                <Empty icon="store" title="Nothing is stored yet">
                  A bucket is made when a service that declares it starts: store.NewBucket.
                </Empty>
              }
            />
          )}
        </Loaded>
      </Card>
      {bucket && <Keys key={bucket} bucket={bucket} />}
    </Frame>
  );
}

function Keys({ bucket }: { bucket: string }) {
  const q = useTicking(useQuery<{ keys: string[]; more?: boolean }>("store/keys", { bucket, prefix: param("prefix") }), 5000);
  const key = param("key");
  return (
    <div class="console">
      <Card title={bucket} actions={<Search label="keys that begin with" value={param("prefix")} onChange={(v) => setParams({ prefix: v })} />} flush>
        <Loaded query={q}>
          {(page) => (
            <>
              <Table
                label="keys"
                rows={page.keys}
                id={(k) => k}
                link={(k) => href("/store", { bucket, prefix: param("prefix"), key: k })}
                active={key}
                max={560}
                columns={[{ id: "key", title: "Key", render: (k) => <code class="ellipsis">{k}</code> }]}
                empty={<Empty icon="key" title="No keys" />}
              />
              {page.more && <p class="note">There are more: write how those begin that you look for.</p>}
            </>
          )}
        </Loaded>
      </Card>
      {key && <Shown key={key} bucket={bucket} name={key} />}
    </div>
  );
}

function Shown({ bucket, name }: { bucket: string; name: string }) {
  const q = useQuery<Value>("store/value", { bucket, key: name });
  const [text, setText] = useState<string>();
  const [sure, setSure] = useState(false);
  return (
    <Card title={name} note="key">
      <Loaded query={q}>
        {(v) => (
          <div class="answer">
            <p class="note num">
              revision {v.revision}, written {moment(v.time)}, {bytes(v.bytes)} of {v.type || "what nobody has said"}
            </p>
            {v.note && <p class="warn-text">{v.note}</p>}
            {text !== undefined ? (
              <textarea class="input" aria-label="value" rows={12} value={text} onInput={(e) => setText(e.currentTarget.value)} />
            ) : v.json !== undefined ? (
              <Json text={JSON.stringify(v.json)} label="value" />
            ) : (
              <pre class="json" tabIndex={0}>
                {v.text ?? hex(v.base64 ?? "")}
              </pre>
            )}
            {v.editable && (
              <div class="request-do">
                {text === undefined ? (
                  <Button small onClick={() => setText(v.json !== undefined ? JSON.stringify(v.json, null, 2) : (v.text ?? ""))}>
                    Edit
                  </Button>
                ) : (
                  <>
                    <Button small tone="primary" onClick={() => void attempt(() => post("store/put", { bucket, key: name, revision: v.revision, text }), "written").then((ok) => ok && (setText(undefined), q.refetch()))}>
                      Write
                    </Button>
                    <Button small onClick={() => setText(undefined)}>
                      Leave it
                    </Button>
                  </>
                )}
                <Button small tone="danger" onClick={() => (sure ? void attempt(() => post("store/delete", { bucket, key: name, revision: v.revision }), "deleted").then((ok) => (ok ? setParams({ key: "" }) : (setSure(false), q.refetch()))) : setSure(true))}>
                  {sure ? "Yes, delete it" : "Delete"}
                </Button>
              </div>
            )}
          </div>
        )}
      </Loaded>
    </Card>
  );
}

export const store: Page = { title: "Store", path: /^\/store$/, component: Store, nav: "/store", icon: "store", keys: "g d", needs: "store" };
