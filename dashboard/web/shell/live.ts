// The one stream that tells what has changed. It carries no data: whoever shows something asks for it again.
import { signal } from "@preact/signals";

/** Topic is a kind of thing that changes. */
export type Topic = "system" | "spans" | "logs" | "metrics" | "events" | "store" | "console";

/** paused: nothing changes on the page until the reader says so. */
export const paused = signal(false);
/** connected: the stream is open. */
export const connected = signal(true);
/** held counts changes that came while the page was paused. */
export const held = signal(0);

const listeners = new Map<Topic, Set<() => void>>();

/** changed calls f whenever something of the topic changed. It returns how to end that. */
export function changed(topic: Topic, f: () => void): () => void {
  let set = listeners.get(topic);
  if (!set) listeners.set(topic, (set = new Set()));
  set.add(f);
  return () => void set.delete(f);
}

function tell(topics: Topic[]): void {
  if (paused.peek()) held.value++;
  for (const t of topics) for (const f of [...(listeners.get(t) ?? [])]) f();
}

/** setPaused stops or resumes all changes on the page. */
export function setPaused(on: boolean): void {
  if (on) held.value = 0;
  paused.value = on;
}

/** Notice is what one page of a browser tells the others. */
interface Notice {
  topics?: Topic[];
  all?: boolean; // whatever there is may have changed
  connected?: boolean;
  hello?: boolean; // from a page that is new
}

function hear(n: Notice): void {
  if (n.connected !== undefined) connected.value = n.connected;
  if (n.all || n.topics) tell(n.topics ?? [...listeners.keys()]);
}

/** listen opens the stream; the browser opens it again when it breaks. With missed, there was none for a while. It returns how to close it. */
function listen(hand: (n: Notice) => void, missed: boolean): () => void {
  let broke = missed;
  let timer = 0;
  let source: EventSource;
  const open = () => {
    source = new EventSource("/api/live");
    source.addEventListener("open", () => {
      hand({ connected: true, all: broke });
      broke = false;
    });
    source.addEventListener("error", () => {
      hand({ connected: false });
      broke = true;
      if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(open, 2000);
    });
    source.addEventListener("change", (e) => hand({ topics: JSON.parse((e as MessageEvent<string>).data) as Topic[] }));
  };
  open();
  return () => (clearTimeout(timer), source.close());
}

/**
 * connect opens the stream, one for all pages of a browser: to one host a browser has six connections, and pages that each kept one would
 * leave none for what the seventh asks. The page that holds the lock has the stream and tells the others; when it is closed, the next one
 * gets the lock.
 */
export function connect(): void {
  if (!navigator.locks || !window.BroadcastChannel) return connectShown();
  const others = new BroadcastChannel("hanse-live");
  const hand = (n: Notice) => (hear(n), others.postMessage(n));
  const since = performance.now();
  let first = false; // this page has the stream
  others.addEventListener("message", (e) => {
    const n = e.data as Notice;
    if (!n.hello) hear(n);
    else if (first) others.postMessage({ connected: connected.peek() });
  });
  others.postMessage({ hello: true });
  void navigator.locks.request("hanse-live", () => {
    first = true;
    listen(hand, performance.now() - since > 500);
    return new Promise<never>(() => {});
  });
}

/** connectShown is for pages that are not told of each other, as those of a host without TLS: the stream is open while the page is seen. */
function connectShown(): void {
  let close: (() => void) | undefined;
  let missed = false;
  const follow = () => {
    if (document.hidden) {
      close?.();
      close = undefined;
    } else close ??= listen(hear, missed);
    missed = true;
  };
  document.addEventListener("visibilitychange", follow);
  follow();
}
