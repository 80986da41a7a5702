// A form for a message, made from its descriptor. It edits the JSON of the message.
import { useState } from "preact/hooks";
import { Button, Select } from "../shell/controls";
import type { Contracts, Field } from "./types";

type Value = Record<string, unknown>;

/** well are messages that have a form of their own in JSON, with an example. */
const well: Record<string, string> = {
  "google.protobuf.Timestamp": "2026-01-31T12:00:00Z",
  "google.protobuf.Duration": "1.5s",
  "google.protobuf.FieldMask": "name,place.city",
  "google.protobuf.StringValue": "",
  "google.protobuf.BytesValue": "base64",
  "google.protobuf.Int64Value": "0",
  "google.protobuf.UInt64Value": "0",
  "google.protobuf.Int32Value": "0",
  "google.protobuf.UInt32Value": "0",
  "google.protobuf.DoubleValue": "0.0",
  "google.protobuf.FloatValue": "0.0",
  "google.protobuf.BoolValue": "true",
};
function isWell(type: string | undefined): boolean {
  return type !== undefined && type in well;
}

/** free are messages whose JSON can be anything. */
const free = new Set(["google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Any"]);

const small = /^(s?fixed32|[su]?int32)$|Int32Value$/;
const real = /^(double|float)$|(Double|Float)Value$/;

/** scalar reads what was typed. Large whole numbers stay text, as protobuf's JSON has them. */
function scalar(f: Field, text: string): unknown {
  const type = f.kind === "message" ? f.type! : f.kind;
  if (small.test(type) && /^-?\d{1,10}$/.test(text)) return Number(text);
  if (real.test(type) && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  if (type === "google.protobuf.BoolValue" && (text === "true" || text === "false")) return text === "true";
  return text;
}

function typeName(f: Field): string {
  const inner = f.type ? f.type.slice(f.type.lastIndexOf(".") + 1) : f.kind;
  if (f.map) return `map of ${f.map} to ${inner}`;
  return f.repeated ? `list of ${inner}` : inner;
}

const deepest = 12;

type Part = { contracts: Contracts; path: string; depth: number; left: string[] }; // left: paths of values that were left out of a trace

/** Form edits a message. */
export function Form({ contracts, type, value, onChange, left, path = "", depth = 0 }: { type: string; value: Value; onChange: (v: Value) => void } & Partial<Part> & Pick<Part, "contracts" | "left">) {
  const message = contracts.messages[type];
  if (!message || message.fields.length === 0) return <p class="note">It has no fields.</p>;
  const set = (f: Field, v: unknown) => {
    const next: Value = {};
    for (const one of message.fields) {
      const now = one === f ? v : (value[one.json] ?? value[one.name]);
      if (now !== undefined && !(one !== f && v !== undefined && f.oneof && one.oneof === f.oneof)) next[one.json] = now;
    }
    onChange(next);
  };
  const seen = new Set<string>();
  return (
    <div class="form">
      {message.fields.map((f) => {
        const part = { contracts, path: path ? `${path}.${f.name}` : f.name, depth, left };
        if (!f.oneof) return <FieldRow key={f.name} field={f} value={value[f.json] ?? value[f.name]} onChange={(v) => set(f, v)} {...part} />;
        if (seen.has(f.oneof)) return null;
        seen.add(f.oneof);
        return <Oneof key={f.oneof} name={f.oneof} fields={message.fields.filter((o) => o.oneof === f.oneof)} value={value} set={set} {...part} />;
      })}
    </div>
  );
}

function Oneof({ name, fields, value, set, ...part }: { name: string; fields: Field[]; value: Value; set: (f: Field, v: unknown) => void } & Part) {
  const has = fields.find((f) => (value[f.json] ?? value[f.name]) !== undefined);
  const [wanted, setWanted] = useState(has?.name ?? "");
  const shown = has ?? fields.find((f) => f.name === wanted);
  return (
    <div class="form-oneof">
      <div class="form-label">
        <span>{name}</span>
        <small>one of</small>
        <Select
          label={`which of ${name}`}
          value={shown?.name ?? ""}
          options={[{ value: "", text: "none" }, ...fields.map((f) => ({ value: f.name, text: f.name }))]}
          onChange={(v) => {
            setWanted(v);
            const f = fields.find((one) => one.name === v);
            if (f) set(f, initial(f));
            else if (has) set(has, undefined);
          }}
        />
      </div>
      {shown && <FieldRow field={shown} value={value[shown.json] ?? value[shown.name]} onChange={(v) => set(shown, v)} {...part} />}
    </div>
  );
}

/** initial is the value of a field that was just added. */
function initial(f: Field): unknown {
  if (f.kind === "message" && !isWell(f.type) && f.type !== "google.protobuf.Value") return f.type === "google.protobuf.ListValue" ? [] : {};
  if (f.kind === "bool") return true;
  return "";
}

function FieldRow({ field: f, value, onChange, ...part }: { field: Field; value: unknown; onChange: (v: unknown) => void } & Part) {
  const id = `f-${part.path.replace(/[^\w]/g, "-")}`;
  return (
    <div class="form-field">
      <div class="form-label">
        <label for={f.repeated || f.map || (f.kind === "message" && !isWell(f.type)) ? undefined : id}>{f.name}</label>
        <small>
          {typeName(f)}
          {f.required && ", required"}
          {f.redact && ", not shown in traces"}
        </small>
      </div>
      {f.comment && <p class="form-comment">{f.comment}</p>}
      {part.left.includes(part.path) && value === undefined && <p class="form-left">No trace holds it: type it in again.</p>}
      {f.map ? (
        <MapInput field={f} value={value} onChange={onChange} {...part} />
      ) : f.repeated ? (
        <ListInput field={f} value={value} onChange={onChange} {...part} />
      ) : (
        <Single id={id} field={f} value={value} onChange={onChange} {...part} />
      )}
    </div>
  );
}

/** Single edits one value. */
function Single({ id, field: f, value, onChange, ...part }: { id: string; field: Field; value: unknown; onChange: (v: unknown) => void } & Part) {
  if (f.kind === "bool")
    return (
      <input
        id={id}
        type="checkbox"
        aria-label={part.path}
        checked={value === true}
        onChange={(e) => onChange(e.currentTarget.checked ? true : f.optional ? false : undefined)}
      />
    );
  if (f.kind === "enum")
    return (
      <Select
        label={part.path}
        value={value === undefined ? "" : String(value)}
        options={[{ value: "", text: "not set" }, ...(part.contracts.enums[f.type!] ?? []).map((v) => ({ value: v.name, text: v.name }))]}
        onChange={(v) => onChange(v === "" ? undefined : v)}
      />
    );
  if (f.kind === "message" && free.has(f.type!)) return <FreeInput id={id} label={part.path} value={value} onChange={onChange} any={f.type === "google.protobuf.Any"} />;
  if (f.kind === "message" && !isWell(f.type)) {
    if (value === undefined || part.depth > deepest)
      return (
        <Button small icon="plus" label={`add ${part.path}`} onClick={() => onChange({})}>
          {f.type!.slice(f.type!.lastIndexOf(".") + 1)}
        </Button>
      );
    return (
      <div class="form-inner">
        <Form contracts={part.contracts} type={f.type!} value={isObject(value) ? value : {}} onChange={onChange} left={part.left} path={part.path} depth={part.depth + 1} />
        <Button small tone="ghost" icon="close" label={`remove ${part.path}`} onClick={() => onChange(undefined)} />
      </div>
    );
  }
  const text = value === undefined ? "" : String(value);
  const long = f.kind === "string" && (text.length > 80 || text.includes("\n"));
  const props = {
    id,
    class: "input",
    "aria-label": part.path,
    value: text,
    spellcheck: false,
    autocomplete: "off",
    onInput: (e: { currentTarget: { value: string } }) => {
      const v = e.currentTarget.value;
      onChange(v === "" && !f.optional && f.type !== "google.protobuf.StringValue" && !f.oneof ? undefined : scalar(f, v));
    },
  };
  if (long) return <textarea {...props} rows={3} />;
  const number = f.kind !== "string" && f.kind !== "bytes" && f.kind !== "message";
  return <input {...props} inputMode={number ? "decimal" : undefined} placeholder={f.kind === "bytes" ? "base64" : f.kind === "message" ? well[f.type!] : number ? "0" : undefined} />;
}

function isObject(v: unknown): v is Value {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

/** FreeInput edits JSON of any form. */
function FreeInput({ id, label, value, onChange, any }: { id: string; label: string; value: unknown; onChange: (v: unknown) => void; any: boolean }) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState("");
  return (
    <>
      <textarea
        id={id}
        class="input"
        rows={3}
        aria-label={label}
        aria-invalid={!!wrong}
        spellcheck={false}
        placeholder={any ? '{"@type": "type.googleapis.com/…"}' : "JSON"}
        value={text}
        onInput={(e) => {
          const v = e.currentTarget.value;
          setText(v);
          try {
            onChange(v.trim() === "" ? undefined : JSON.parse(v));
            setWrong("");
          } catch (err) {
            setWrong((err as Error).message);
          }
        }}
      />
      {wrong && (
        <p class="form-wrong" role="alert">
          {wrong}
        </p>
      )}
    </>
  );
}

function ListInput({ field: f, value, onChange, ...part }: { field: Field; value: unknown; onChange: (v: unknown) => void } & Part) {
  const list = Array.isArray(value) ? value : [];
  const one: Field = { ...f, repeated: false, optional: true };
  const change = (next: unknown[]) => onChange(next.length ? next : undefined);
  return (
    <div class="form-list">
      {list.map((v, i) => (
        <div class="form-item" key={i}>
          <Single id={`f-${part.path.replace(/[^\w]/g, "-")}-${i}`} field={one} value={v} onChange={(n) => change(n === undefined ? list.filter((_, j) => j !== i) : list.map((o, j) => (j === i ? n : o)))} {...part} path={`${part.path}.${i}`} />
          {(f.kind !== "message" || isWell(f.type)) && <Button small tone="ghost" icon="close" label={`remove ${part.path}.${i}`} onClick={() => change(list.filter((_, j) => j !== i))} />}
        </div>
      ))}
      <Button small icon="plus" label={`add to ${part.path}`} onClick={() => change([...list, f.kind === "enum" ? part.contracts.enums[f.type!]?.[0]?.name : f.kind === "bool" ? false : initial(f)])}>
        Add
      </Button>
    </div>
  );
}

function MapInput({ field: f, value, onChange, ...part }: { field: Field; value: unknown; onChange: (v: unknown) => void } & Part) {
  const entries = isObject(value) ? Object.entries(value) : [];
  const one: Field = { ...f, map: undefined, optional: true };
  const change = (next: [string, unknown][]) => onChange(next.length ? Object.fromEntries(next) : undefined);
  const [key, setKey] = useState("");
  const add = () => {
    if (key === "" || entries.some(([k]) => k === key)) return;
    change([...entries, [key, f.kind === "enum" ? part.contracts.enums[f.type!]?.[0]?.name : f.kind === "bool" ? false : initial(f)]]);
    setKey("");
  };
  return (
    <div class="form-list">
      {entries.map(([k, v]) => (
        <div class="form-item" key={k}>
          <code>{k}</code>
          <Single id={`f-${part.path.replace(/[^\w]/g, "-")}-${k}`} field={one} value={v} onChange={(n) => change(n === undefined ? entries.filter(([o]) => o !== k) : entries.map(([o, x]) => [o, o === k ? n : x]))} {...part} path={`${part.path}.${k}`} />
          {(f.kind !== "message" || isWell(f.type)) && <Button small tone="ghost" icon="close" label={`remove ${part.path}.${k}`} onClick={() => change(entries.filter(([o]) => o !== k))} />}
        </div>
      ))}
      <div class="form-item">
        <input class="input" aria-label={`new key of ${part.path}`} placeholder="key" value={key} onInput={(e) => setKey(e.currentTarget.value)} onKeyDown={(e) => e.key === "Enter" && (e.preventDefault(), add())} />
        <Button small icon="plus" label={`add to ${part.path}`} onClick={add}>
          Add
        </Button>
      </div>
    </div>
  );
}
