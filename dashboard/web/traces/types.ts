// What the server says of traces, as package telemetry/collector has it. Durations are nanoseconds.

export interface Attr {
  key: string;
  value: unknown;
}

export interface SpanEvent {
  time: string;
  name: string;
  attrs?: Attr[];
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  attrs?: Attr[];
}

export interface Span {
  trace_id: string;
  span_id: string;
  parent_id?: string;
  service: string;
  instance?: string;
  name: string;
  kind: string;
  start: string;
  duration: number;
  status?: string; // error, refused (by a fault of the caller), ok
  code?: string; // NOT_FOUND, 404
  message?: string;
  attrs?: Attr[];
  resource?: Attr[];
  scope?: string;
  events?: SpanEvent[];
  links?: SpanLink[];
  lost?: number;
  depth: number;
  parent: number;
  gap?: boolean;
  critical?: boolean;
}

export interface Trace {
  trace_id: string;
  start: string;
  duration: number;
  spans: Span[];
  services: { name: string; spans: number; errors?: number }[];
  errors: number;
  gaps: number;
  cut?: number;
}

export interface Summary {
  trace_id: string;
  start: string;
  duration: number;
  service: string;
  name: string;
  kind: string;
  status?: string; // error, refused (by a fault of the caller), ok
  code?: string; // NOT_FOUND, 404
  spans: number;
  errors: number;
  services: string[] | null;
  gap?: boolean;
}

export interface TracePage {
  traces: Summary[];
  next?: string;
  found?: number; // of so many these are some, from the whole time
  scanned: number;
  partial?: boolean;
}

export interface Log {
  id: string;
  time: string;
  service: string;
  level?: string;
  severity?: number;
  message: string;
  attrs?: Attr[];
  span_id?: string;
}

/** attr is the value of an attribute as text. */
export function attr(attrs: Attr[] | undefined, key: string): string {
  const a = attrs?.find((one) => one.key === key);
  return a === undefined ? "" : text(a.value);
}

/** text writes the value of an attribute. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
