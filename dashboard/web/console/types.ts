// What the server says of methods and messages.

export interface Contracts {
  contracts: Contract[];
  messages: Record<string, Message>;
  enums: Record<string, { name: string; number: number }[]>;
}

export interface Contract {
  name: string;
  comment?: string;
  methods: Method[];
}

export interface Method {
  name: string;
  comment?: string;
  input: string;
  output: string;
  client_stream?: boolean;
  server_stream?: boolean;
  safe?: boolean;
  deprecated?: boolean;
}

export interface Message {
  comment?: string;
  fields: Field[];
}

export interface Field {
  name: string;
  json: string;
  kind: string;
  type?: string;
  repeated?: boolean;
  map?: string;
  oneof?: string;
  optional?: boolean;
  required?: boolean;
  redact?: boolean;
  comment?: string;
}

/** kind says how a method streams. */
export function kind(m: Method): string {
  if (m.client_stream && m.server_stream) return "both ways";
  if (m.client_stream) return "client stream";
  return m.server_stream ? "server stream" : "unary";
}

/** Choice is what the address names: SERVICE/package.Contract/Method. */
export interface Choice {
  service: string;
  contract: string;
  method: string;
}

/** parseChoice reads a choice, of which the end may be missing. */
export function parseChoice(text: string): Choice {
  const [service = "", contract = "", method = ""] = text.split("/");
  return { service, contract, method };
}
