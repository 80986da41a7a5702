// Short messages about what was done or failed.
import { signal } from "@preact/signals";
import { Icon } from "./icons";

interface Toast {
  id: number;
  text: string;
  advice?: string;
  bad: boolean;
}

const toasts = signal<Toast[]>([]);
let next = 1;

/** say shows a message for some seconds. One about an error stays longer. */
export function say(text: string, bad = false, advice?: string): void {
  const id = next++;
  toasts.value = [...toasts.value.slice(-3), { id, text, bad, advice }];
  setTimeout(() => (toasts.value = toasts.value.filter((t) => t.id !== id)), bad ? 10_000 : 4000);
}

/** attempt does something and shows why it failed. */
export async function attempt(what: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await what();
    if (done) say(done);
    return true;
  } catch (e) {
    say((e as Error).message, true, (e as { advice?: string }).advice);
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((t) => (
        <div key={t.id} class={`toast ${t.bad ? "bad" : ""}`}>
          <Icon name={t.bad ? "bad" : "good"} />
          <div>
            {t.text}
            {t.advice && <p>{t.advice}</p>}
          </div>
        </div>
      ))}
    </div>
  );
}
