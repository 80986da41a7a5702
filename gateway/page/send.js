// Makes calls, and reads their answers as they come.
import { values } from "./code.js";

const framed = "application/connect+json";
export const base = new URL(".", location.href);

/** What a person has put in, for one route. */
export function blank(route) {
  return { path: {}, query: {}, body: "", file: null };
}

/** Returns the URL of a route with its parameters. */
export function address(route, input) {
  const parameters = route.op.parameters ?? [];
  let path = route.path;
  for (const p of parameters.filter((p) => p.in === "path")) {
    const value = input.path[p.name] ?? "";
    path = path.replace(`{${p.name}}`, () => p["x-hanse-slashes"] ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value));
  }
  const query = new URLSearchParams();
  for (const p of parameters.filter((p) => p.in === "query")) {
    const value = input.query[p.name] ?? "";
    if (value === "") continue;
    if (p.schema?.type === "array") {
      for (const v of value.split(",").map((v) => v.trim()).filter(Boolean)) query.append(p.name, v);
    } else query.append(p.name, p.content ? compact(value) : value);
  }
  const url = new URL(path.replace(/^\//, ""), base);
  url.search = query.toString();
  return url.href;
}

function compact(text) {
  try { return JSON.stringify(JSON.parse(text)); } catch { return text; }
}

/** Returns the media type of a route's requests, or "". */
export function bodyType(route) {
  return Object.keys(route.op.requestBody?.content ?? {})[0] ?? "";
}

/** Returns the media type that is asked for, or "" for what comes. */
export function accepts(route) {
  const types = Object.keys(route.op.responses["200"]?.content ?? {});
  return types.includes("application/x-ndjson") ? "application/x-ndjson" : "";
}

/** Returns what is wrong with the input, or "". */
export function mistake(route, input) {
  for (const p of route.op.parameters ?? []) {
    const value = (p.in === "path" ? input.path : input.query)[p.name] ?? "";
    if (p.required && value === "") return `${p.name} is required`;
    if (p.content && value) { try { JSON.parse(value); } catch (e) { return `${p.name}: ${e.message}`; } }
  }
  const type = bodyType(route);
  if (!type || type === "*/*") return "";
  try {
    const all = values(input.body);
    const many = type === "application/x-ndjson" || type === framed && /client|both/.test(route.method.stream);
    if (!many && all.length !== 1) return all.length ? "The body must be one JSON value." : "The body is empty.";
  } catch (e) {
    return e.message;
  }
  return "";
}

/** Returns the body to send. */
function body(route, input) {
  const type = bodyType(route);
  switch (type) {
    case "": return undefined;
    case "*/*": return input.file ?? input.body;
    case "application/x-ndjson": return values(input.body).map((v) => JSON.stringify(v) + "\n").join("");
    case framed: return new Blob(values(input.body).map((v) => envelope(JSON.stringify(v))));
  }
  return input.body;
}

function envelope(text) {
  const data = new TextEncoder().encode(text);
  const out = new Uint8Array(5 + data.length);
  new DataView(out.buffer).setUint32(1, data.length);
  out.set(data, 5);
  return out;
}

/**
 * Makes a call. on.head(response, ms) is called when the header is there, on.message(text) for each message of a stream,
 * and on.end({text | blob | error, trailers}, ms, bytes) at its end. It rejects when there is no answer.
 */
export async function send(route, input, headers, signal, on) {
  const all = new Headers(headers);
  const type = bodyType(route);
  if (type === "*/*") all.set("Content-Type", input.file?.type || all.get("Content-Type") || "application/octet-stream");
  else if (type) all.set("Content-Type", type);
  if (accepts(route)) all.set("Accept", accepts(route));
  if (type === framed) all.set("Connect-Protocol-Version", "1");
  const begin = performance.now();
  const response = await fetch(address(route, input), {
    method: route.verb, headers: all, body: body(route, input), signal, credentials: "same-origin", cache: "no-store", redirect: "manual", referrerPolicy: "no-referrer",
  });
  on.head(response, performance.now() - begin);
  const answer = (response.headers.get("Content-Type") ?? "").split(";")[0].trim();
  const result = await read(response, answer, on);
  on.end(result, performance.now() - begin);
}

async function read(response, type, on) {
  if (type === framed) return frames(response.body.getReader(), on);
  if (type === "application/x-ndjson" || type === "application/jsonl") return lines(response.body.getReader(), on);
  if (/^(text\/|application\/([\w.-]+\+)?(json|xml)$|application\/javascript$)|^$|\+xml$/.test(type) && type !== "image/svg+xml") {
    const text = await response.text();
    return { text, bytes: new Blob([text]).size };
  }
  const blob = await response.blob();
  return { blob, bytes: blob.size };
}

/** Reads the envelopes of the Connect protocol. */
async function frames(reader, on) {
  let left = new Uint8Array(0), bytes = 0;
  for (;;) {
    while (left.length >= 5) {
      const length = new DataView(left.buffer, left.byteOffset).getUint32(1);
      if (left.length < 5 + length) break;
      const text = new TextDecoder().decode(left.subarray(5, 5 + length));
      const flags = left[0];
      left = left.subarray(5 + length);
      if (flags & 1) return { error: { code: "internal", message: "a compressed message came, which was not asked for" }, bytes };
      if (flags & 2) {
        const end = JSON.parse(text || "{}");
        return { error: end.error, trailers: end.metadata, bytes };
      }
      on.message(text);
    }
    const { done, value } = await reader.read();
    if (done) return { error: { code: "unavailable", message: "the stream ended before its end was told" }, bytes };
    bytes += value.length;
    const joined = new Uint8Array(left.length + value.length);
    joined.set(left);
    joined.set(value, left.length);
    left = joined;
  }
}

/** Reads lines of JSON. An error is a line {"error": …} at the end. */
async function lines(reader, on) {
  const decoder = new TextDecoder();
  let left = "", bytes = 0, error;
  const take = (line) => {
    if (!line.trim()) return;
    try {
      const value = JSON.parse(line);
      if (value && typeof value === "object" && typeof value.error?.code === "string" && Object.keys(value).length === 1) { error = value.error; return; }
    } catch { /* shown as it is */ }
    on.message(line);
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    left += decoder.decode(value, { stream: true });
    const parts = left.split("\n");
    left = parts.pop();
    parts.forEach(take);
  }
  take(left);
  return { error, bytes };
}
