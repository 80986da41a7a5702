// What the server says of log lines, as package telemetry/collector has it.
import type { Attr } from "../traces/types";

export interface Line {
  id: string;
  time: string;
  service: string;
  instance?: string;
  level?: string;
  severity?: number;
  message: string;
  attrs?: Attr[];
  trace_id?: string;
  span_id?: string;
  resource?: Attr[];
  scope?: string;
}

export interface LinePage {
  logs: Line[];
  next?: string;
  tail: string;
  scanned: number;
  partial?: boolean;
}

/** tone is how bad a line is: "bad", "warn", "quiet" for details of the program's own, or nothing. */
export function tone(l: Line): "bad" | "warn" | "quiet" | "" {
  const n = l.severity ?? 0;
  return n >= 17 ? "bad" : n >= 13 ? "warn" : n > 0 && n < 9 ? "quiet" : "";
}
