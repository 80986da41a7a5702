// The same call for a terminal: exactly what was sent, quoted for a shell.

export interface Call {
  service: string;
  method: string; // package.Contract/Method
  messages: string[]; // JSON
  metadata: [string, string][];
  timeout?: number; // milliseconds
  clientStream: boolean;
  serverStream: boolean;
  endpoint?: string; // host:port of an instance
}

/** quote quotes a word for a shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", `'\\''`) + "'";
}

function compact(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json));
  } catch {
    return json.trim();
  }
}

/** exact is JSON on one line, with the digits of its numbers as they are written. */
function exact(json: string): string {
  try {
    JSON.parse(json);
  } catch {
    return json.trim();
  }
  let out = "";
  let inside = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i]!;
    if (inside) {
      out += c;
      if (c === "\\") out += json[++i] ?? "";
      else if (c === '"') inside = false;
    } else if (!/\s/.test(c)) {
      out += c;
      if (c === '"') inside = true;
    }
  }
  return out;
}

function join(parts: string[]): string {
  const one = parts.join(" ");
  return one.length <= 76 ? one : parts.join(" \\\n  ");
}

/** hanse is the call by hanse call. */
export function hanse(c: Call): string {
  const parts = ["hanse call", quote(`${c.service}/${c.method}`)];
  for (const [name, value] of c.metadata) parts.push("-H " + quote(`${name}:${value}`));
  if (c.timeout) parts.push(`--timeout ${c.timeout}ms`);
  for (const m of c.messages) if (c.clientStream || compact(m) !== "{}") parts.push(quote(exact(m)));
  return join(parts);
}

/** grpcurl is the call by grpcurl, or why there is none. It asks the server for its contracts, as the console does. */
export function grpcurl(c: Call): { command?: string; why?: string } {
  if (!c.endpoint) return { why: "no instance of the service has an address here" };
  const parts = ["grpcurl -plaintext"];
  for (const [name, value] of c.metadata) parts.push("-H " + quote(`${name}: ${value}`));
  if (c.timeout) parts.push(`-max-time ${c.timeout / 1000}`);
  if (c.messages.length) parts.push("-d " + quote(c.messages.map(exact).join("\n")));
  parts.push(c.endpoint, quote(c.method));
  return { command: join(parts) };
}

/** curl is the call by curl, or why there is none. */
export function curl(c: Call): { command?: string; why?: string } {
  if (c.clientStream || c.serverStream) return { why: "streams have frames, which curl does not write or read" };
  if (!c.endpoint) return { why: "no instance of the service has an address here" };
  const parts = ["curl", "--json " + quote(exact(c.messages[0] ?? "{}"))];
  if (c.timeout) parts.push(`-H 'Connect-Timeout-Ms: ${c.timeout}'`);
  for (const [name, value] of c.metadata) parts.push("-H " + quote(`${name}: ${value}`));
  parts.push(quote(`http://${c.endpoint}/${c.method}`));
  return { command: join(parts) };
}
