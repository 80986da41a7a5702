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
  running?: boolean; // a gap that has not ended
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
  running?: boolean;
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
  running?: boolean; // gap, and it has not ended
  stream?: boolean; // how long it took is no latency
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

/** took is a latency: that of a stream is none, and of a trace whose beginning is not there nobody knows it. Those are below 0, the longest first. */
export const took = (t: Summary): number => (t.gap || t.stream ? -1 / (t.duration + 1) : t.duration);

/** attr is the value of an attribute as text. */
export function attr(attrs: Attr[] | undefined, key: string): string {
  const a = attrs?.find((one) => one.key === key);
  return a === undefined ? "" : text(a.value);
}

/** text writes the value of an attribute. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
