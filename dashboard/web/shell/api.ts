// Requests to the server, and queries that stay current.
import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { changed, paused, type Topic } from "./live";

/** APIError is what the server says went wrong, and what to do about it. */
export class APIError extends Error {
  constructor(
    message: string,
    readonly advice: string,
    readonly status: number,
  ) {
    super(message);
  }
}

async function read<T>(res: Response): Promise<T> {
  const text = await res.text();
  let body: unknown;
  try {
    body = text ? JSON.parse(text) : undefined;
  } catch {
    throw new APIError(`the server answers ${res.status} with something that is no JSON`, "", res.status);
  }
  if (!res.ok) {
    const e = (body ?? {}) as { error?: string; do?: string };
    throw new APIError(e.error ?? `the server answers ${res.status}`, e.do ?? "", res.status);
  }
  return body as T;
}

async function send<T>(input: string, init: RequestInit): Promise<T> {
  let res: Response;
  try {
    res = await fetch(input, init);
  } catch (e) {
    if ((e as Error).name === "AbortError") throw e;
    throw new APIError("the server of this page does not answer", "is hanse still running? It may be in another terminal", 0);
  }
  return read<T>(res);
}

export type Params = Record<string, string | number | boolean | string[] | undefined>;

/** api is the address of an endpoint. Empty parameters are left out, lists are repeated. */
export function api(path: string, params: Params = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) {
    if (Array.isArray(v)) for (const one of v) q.append(k, one);
    else if (v !== undefined && v !== "" && v !== false) q.set(k, String(v));
  }
  const text = q.toString();
  return "/api/" + path + (text ? "?" + text : "");
}

/** get asks for something. */
export function get<T>(path: string, params: Params = {}, abort?: AbortSignal): Promise<T> {
  return send<T>(api(path, params), { signal: abort, headers: { Accept: "application/json" } });
}

/** post does something. The header is what no other site can send. */
export function post<T>(path: string, body: unknown = {}, abort?: AbortSignal): Promise<T> {
  return send<T>("/api/" + path, {
    method: "POST",
    signal: abort,
    headers: { "Content-Type": "application/json", Accept: "application/json", "Hanse-Dashboard": "1" },
    body: JSON.stringify(body),
  });
}

/** Query is what is known of an answer. While it is asked again, the last one stays. */
export interface Query<T> {
  data: Signal<T | undefined>;
  error: Signal<APIError | undefined>;
  busy: Signal<boolean>;
  refetch: () => void;
}

/**
 * useQuery asks when path or params change, and again when one of the topics changes, at most once in `every` milliseconds, unless
 * the page is paused or hidden. No path: nothing is asked.
 */
export function useQuery<T>(path: string | undefined, params: Params = {}, topics: Topic[] = [], every = 1000): Query<T> {
  const q = useMemo(() => ({ data: signal<T | undefined>(undefined), error: signal<APIError | undefined>(undefined), busy: signal(false), refetch: () => {} }), []);
  const address = path === undefined ? undefined : api(path, params);
  useEffect(() => {
    if (address === undefined) {
      q.data.value = undefined;
      q.error.value = undefined;
      return;
    }
    const abort = new AbortController();
    let timer = 0;
    let last = 0;
    let again = false;
    const ask = async () => {
      if (q.busy.peek() && !abort.signal.aborted) {
        again = true;
        return;
      }
      q.busy.value = true;
      last = Date.now();
      try {
        const data = await send<T>(address, { signal: abort.signal, headers: { Accept: "application/json" } });
        if (abort.signal.aborted) return;
        q.data.value = data;
        q.error.value = undefined;
      } catch (e) {
        if (abort.signal.aborted) return;
        q.error.value = e instanceof APIError ? e : new APIError(String(e), "", 0);
      } finally {
        if (!abort.signal.aborted) {
          q.busy.value = false;
          if (again) {
            again = false;
            soon();
          }
        }
      }
    };
    const soon = () => {
      if (timer) return;
      timer = window.setTimeout(
        () => {
          timer = 0;
          if (paused.peek() || document.hidden) {
            missed = true;
            return;
          }
          void ask();
        },
        Math.max(0, last + every - Date.now()),
      );
    };
    let missed = false;
    const catchUp = () => {
      if (missed && !paused.peek() && !document.hidden) {
        missed = false;
        soon();
      }
    };
    const ends = topics.map((t) => changed(t, soon));
    ends.push(paused.subscribe(catchUp));
    document.addEventListener("visibilitychange", catchUp);
    q.refetch = () => void ask();
    void ask();
    return () => {
      abort.abort();
      q.busy.value = false;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", catchUp);
      for (const end of ends) end();
    };
  }, [address, topics.join()]);
  return q;
}
