// Answers of the API that several pages read. They are the types of package telemetry/collector; durations are nanoseconds.

/** Numbers are those of calls in a window. */
export interface Numbers {
  calls: number; // a second
  errors: number; // a second, by a fault of the server
  client_errors?: number; // a second, by a fault of the caller
  streams?: number; // a second, of calls
  open?: number; // streams that have not ended
  p50: number; // of calls that are no streams
  p95: number;
  p99: number;
}

export interface Node extends Numbers {
  name: string;
  kind: "service" | "db" | "messaging" | "external";
  system?: string;
  instances?: number;
}

export interface Edge extends Numbers {
  from: string;
  to: string;
  kind: "rpc" | "http" | "event" | "db";
}

export interface CallMap {
  nodes: Node[];
  edges: Edge[];
}

/** Sparks are short series with equal steps; what is not known is null. */
export interface Sparks {
  start: string;
  step: number;
  calls: (number | null)[] | null;
  errors: (number | null)[] | null;
  p95: (number | null)[] | null; // seconds
}

export interface ServiceSummary extends Numbers {
  name: string;
  versions?: string[];
  instances?: string[];
  language?: string;
  last_seen: string;
  sparks: Sparks;
  log_errors: number;
}

export interface Method extends Numbers {
  name: string;
  peer?: string;
  kind: string;
  status?: Record<string, number>;
  faults?: string[]; // of status, those that are errors
  sparks: Sparks;
}

export interface ServiceDetail extends ServiceSummary {
  methods: Method[] | null;
  calls_to: Method[] | null;
  callers: Edge[] | null;
}

export interface Problem {
  id: string;
  kind: string;
  severity: "error" | "warning";
  service?: string;
  peer?: string;
  method?: string;
  title: string;
  reason: string;
  since: string;
  count: number;
  trace_id?: string;
  filter?: string;
}

export interface Log {
  id: string;
  time: string;
  service: string;
  instance?: string;
  level?: string;
  message: string;
  attrs?: { key: string; value: unknown }[];
  trace_id?: string;
  span_id?: string;
}
