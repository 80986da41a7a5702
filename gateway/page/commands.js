// The same call, as commands for a terminal and as code.
import { accepts, address, bodyType } from "./send.js";
import { values } from "./code.js";

const framed = "application/connect+json";

/** Quotes an argument for a shell. */
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", `'\\''`) + "'";
}

/** Joins the parts of a command, on several lines where one is too long. */
function join(parts) {
  const one = parts.join(" ");
  return one.length <= 72 ? one : parts.join(" \\\n  ");
}

function tidy(text) {
  try { return values(text).map((v) => JSON.stringify(v)).join("\n"); } catch { return text.trim(); }
}

/** Returns the call as curl, or null where curl cannot make it. */
export function curl(route, input, headers) {
  const type = bodyType(route);
  if (type === framed) return null;
  const parts = ["curl"];
  if (accepts(route)) parts[0] += " -N";
  const implied = type ? "POST" : "GET";
  if (route.verb === "HEAD") parts[0] += " --head";
  else if (route.verb !== implied) parts[0] += " -X " + route.verb;
  for (const [name, value] of headers) parts.push("-H " + quote(`${name}: ${value}`));
  if (accepts(route)) parts.push("-H " + quote("Accept: " + accepts(route)));
  if (type === "application/json") parts.push("--json " + quote(tidy(input.body)));
  else if (type === "*/*") {
    parts.push("-H " + quote("Content-Type: " + (input.file?.type || "application/octet-stream")));
    parts.push("--data-binary " + quote(input.file ? "@" + input.file.name : input.body));
  } else if (type) {
    parts.push("-H " + quote("Content-Type: " + type));
    parts.push("--data-binary " + quote(tidy(input.body) + "\n"));
  }
  parts.push(quote(address(route, input)));
  return join(parts);
}

/** Returns the call as hanse call. */
export function hanse(model, route, input, headers) {
  const method = route.method;
  const { service } = route.op["x-hanse"];
  const parts = ["hanse call"];
  if (service) {
    const several = model.services.filter((s) => s.methods.some((m) => m.name === method.name && m.routes[0].op["x-hanse"].service === service)).length > 1;
    parts.push(service + (several ? method.id : "/" + method.name));
  } else {
    const port = location.port || (location.protocol === "https:" ? "443" : "80");
    parts.push(`--target ${location.hostname}:${port}` + (location.protocol === "https:" ? " --tls" : ""), method.id.slice(1));
  }
  for (const [name, value] of headers) parts.push("-H " + quote(`${name}:${value}`));
  try {
    for (const m of messages(model, route, input)) if (Object.keys(m).length || /client|both/.test(method.stream)) parts.push(quote(JSON.stringify(m)));
  } catch {
    parts.push(quote(input.body.trim()));
  }
  return join(parts);
}

/** Returns the call as fetch, or null where it takes more than that. */
export function script(route, input, headers) {
  const type = bodyType(route);
  if (type === framed || route.method.stream || type === "*/*") return null;
  const all = Object.fromEntries(headers);
  if (type) all["Content-Type"] = type;
  const options = [];
  if (route.verb !== "GET") options.push(`  method: ${JSON.stringify(route.verb)},`);
  if (Object.keys(all).length) options.push(`  headers: ${JSON.stringify(all)},`);
  if (type) {
    let value = input.body.trim();
    try { value = JSON.stringify(JSON.parse(value)); } catch { /* as it is */ }
    options.push(`  body: JSON.stringify(${value}),`);
  }
  const url = JSON.stringify(address(route, input));
  return `const response = await fetch(${url}${options.length ? `, {\n${options.join("\n")}\n}` : ""});\nconst answer = await response.json();`;
}

/** Returns the request messages that a route makes of the input. */
export function messages(model, route, input) {
  const { body } = route.op["x-hanse"];
  const type = bodyType(route);
  let all = [{}];
  if (type && type !== "*/*") {
    all = values(input.body);
    if (body && body !== "*") all = all.map((v) => ({ [body]: v }));
  } else if (type === "*/*" && body && body !== "*") {
    all = [{ [body]: { contentType: "text/plain", data: btoa(input.file ? "" : input.body) } }];
  }
  const forms = new Map();
  for (const p of route.op.parameters ?? []) {
    const value = (p.in === "path" ? input.path : input.query)[p.name] ?? "";
    if (p.content) { // GET of the Connect protocol has the whole message in its query
      if (value) all = [JSON.parse(value)];
      continue;
    }
    if (!route.rest || value === "") continue;
    if (p["x-hanse-form"]) {
      const field = p["x-hanse-field"];
      const form = forms.get(field) ?? p["x-hanse-form"];
      const next = form.replace(/\*\*|\*/, () => "\0" + value);
      forms.set(field, next);
      continue;
    }
    if (p.in === "path" && !p["x-hanse-field"]) continue;
    for (const m of all) put(m, p["x-hanse-field"] ?? p.name, convert(model, p.schema, value));
  }
  for (const [field, value] of forms) for (const m of all) put(m, field, value.replaceAll("\0", ""));
  return all;
}

function put(message, path, value) {
  const names = path.split(".");
  const last = names.pop();
  for (const n of names) message = message[n] ??= {};
  message[last] = value;
}

function convert(model, schema, text) {
  const s = model.resolve(schema);
  const types = [s.type ?? []].flat();
  if (types.includes("array")) return text.split(",").map((v) => v.trim()).filter(Boolean).map((v) => convert(model, s.items, v));
  if (types.includes("boolean")) return text === "true";
  if ((types.includes("integer") || types.includes("number")) && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  return text;
}
