// A call over the WebSocket of the server: what was sent and came, as it happens.
import { signal } from "@preact/signals";

export interface Detail {
  type: string;
  value: unknown;
}

/** Entry is something that happened in a call. */
export interface Entry {
  type: "sent" | "header" | "message" | "refused" | "end";
  at: number; // nanoseconds since the call began
  metadata?: [string, string][];
  message?: unknown;
  text?: string; // of message as it came, or of an error
  bytes?: number;
  error?: string;
  code?: number;
  code_name?: string;
  details?: Detail[];
  instance?: string;
  endpoint?: string;
  attempts?: number;
  no: number; // counts entries of a call
}

export interface Start {
  service: string;
  method: string; // package.Contract/Method
  metadata: [string, string][];
  timeout_ms: number;
  message?: string; // JSON
  end: boolean;
}

/** Made is a call that was made. */
export interface Made extends Start {
  trace: string; // ID of its trace
  began: number; // milliseconds since 1970
  clientStream: boolean;
  serverStream: boolean;
}

const most = 2000; // entries that are kept

/** entries are those of the call that is shown; the first ones of a long stream are dropped. */
export const entries = signal<Entry[]>([]);
/** dropped is how many entries are not kept. */
export const dropped = signal(0);
/** made is the call that is shown. */
export const made = signal<Made | undefined>(undefined);
/** open: the call has not ended. */
export const open = signal(false);
/** sending: more messages may be sent. */
export const sending = signal(false);

let socket: WebSocket | undefined;
let pending: Entry[] = [];
let frame = 0;
let count = 0;

function hex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");
}

function flush(): void {
  frame = 0;
  const all = [...entries.value, ...pending];
  pending = [];
  if (all.length > most) dropped.value += all.length - most;
  entries.value = all.slice(-most);
}

function add(e: Omit<Entry, "no">): void {
  pending.push({ ...e, no: count++ });
  if (!frame) frame = requestAnimationFrame(flush); // a stream may bring thousands in a second
}

/** raw is the JSON of a message as it came: JSON.parse would change large numbers. */
function raw(text: string): string | undefined {
  const at = text.indexOf('"message":');
  if (at < 0) return undefined;
  let depth = 0;
  let inside = false;
  const from = at + '"message":'.length;
  for (let i = from; i < text.length; i++) {
    const c = text[i];
    if (inside) {
      if (c === "\\") i++;
      else if (c === '"') inside = false;
    } else if (c === '"') inside = true;
    else if (c === "{" || c === "[") depth++;
    else if (c === "}" || c === "]") depth--;
    else if (c === "," && depth === 0) return text.slice(from, i);
    if (depth < 0) return text.slice(from, i);
    if (depth === 0 && !inside && (c === "}" || c === "]" || c === '"')) return text.slice(from, i + 1);
  }
  return undefined;
}

/** call makes a call, and cancels the one before. ended is told how it went. */
export function call(start: Start, streams: { clientStream: boolean; serverStream: boolean }, ended: (m: Made, end: Entry) => void): void {
  cancel();
  cancelAnimationFrame(frame);
  frame = 0;
  pending = [];
  count = 0;
  entries.value = [];
  dropped.value = 0;
  const trace = hex(16);
  const own: [string, string][] = start.metadata.some(([n]) => n.toLowerCase() === "traceparent") ? [] : [["traceparent", `00-${trace}-${hex(8)}-01`]];
  const given = start.metadata.find(([n]) => n.toLowerCase() === "traceparent")?.[1].split("-")[1];
  const me: Made = { ...start, ...streams, trace: given ?? trace, began: Date.now() };
  made.value = me;
  open.value = true;
  sending.value = streams.clientStream && !start.end;
  const ws = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/console/call`);
  socket = ws;
  let end: Entry | undefined;
  ws.onopen = () => {
    const { message, ...rest } = { ...start, metadata: [...start.metadata, ...own] };
    const text = JSON.stringify(rest);
    ws.send(message === undefined ? text : text.slice(0, -1) + `,"message":${message}}`);
  };
  ws.onmessage = (m) => {
    const text = String(m.data);
    const e = JSON.parse(text) as Entry;
    if (e.type === "end") {
      end = { ...e, no: count };
      add(e);
    } else if (e.type === "sent" && e.message === undefined) sending.value = false;
    else add({ ...e, text: e.type === "message" || e.type === "sent" ? raw(text) : e.text });
  };
  ws.onclose = () => {
    if (socket !== ws) return;
    open.value = false;
    sending.value = false;
    if (!end) {
      end = { type: "end", at: (Date.now() - me.began) * 1e6, code: 14, code_name: "Unavailable", text: "the server of this page has closed the connection", no: count };
      add(end);
    }
    ended(me, end);
  };
}

/** send sends one more message of a stream. */
export function send(json: string): void {
  socket?.send(`{"message":${json}}`);
}

/** finish says that no more messages come. */
export function finish(): void {
  socket?.send(`{"end":true}`);
  sending.value = false;
}

/** cancel ends the call. */
export function cancel(): void {
  const ws = socket;
  socket = undefined;
  if (!ws || ws.readyState > WebSocket.OPEN) return;
  if (open.value) {
    const at = (Date.now() - (made.value?.began ?? Date.now())) * 1e6;
    add({ type: "end", at, code: 1, code_name: "Canceled", text: "you have cancelled the call" });
  }
  open.value = false;
  sending.value = false;
  ws.close();
}
