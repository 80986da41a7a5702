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

/** connect opens the stream; the browser opens it again when it breaks. */
export function connect(): void {
  const source = new EventSource("/api/live");
  let broke = false;
  source.addEventListener("open", () => {
    connected.value = true;
    if (broke) tell([...listeners.keys()]); // whatever changed meanwhile
    broke = false;
  });
  source.addEventListener("error", () => {
    connected.value = false;
    broke = true;
    if (source.readyState === EventSource.CLOSED) setTimeout(() => (source.close(), connect()), 2000);
  });
  source.addEventListener("change", (e) => tell(JSON.parse((e as MessageEvent<string>).data) as Topic[]));
}
