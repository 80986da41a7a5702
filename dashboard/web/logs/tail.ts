// The lines of the view: the newest first page, older ones on demand, and what comes since.
import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { APIError, get, type Params } from "../shell/api";
import { changed, paused } from "../shell/live";
import type { Line, LinePage } from "./types";

/** most lines are held; the oldest go first, and only while nobody reads them. */
export const most = 100_000;
const page = 5_000; // lines in an answer
const every = 400; // milliseconds between two questions for what came

/** Tail holds lines. What comes while held is true waits in `waiting`. */
export class Tail {
  lines: Line[] = [];
  waiting: Line[] = [];
  version = signal(0); // changes with the lines
  busy = signal(true); // the first answer is waited for
  error = signal<APIError | undefined>(undefined);
  older = signal(false); // there are lines before the first
  partial = signal(false); // a search was cut short
  lost = signal(0); // lines that found no room while held
  held = false;
  private next = "";
  private tail = "";
  private asking = false;
  private again = false;
  private timer = 0;
  private last = 0;
  private abort = new AbortController();

  constructor(private params: Params) {}

  /** start asks for the newest lines and then for what comes. It returns how to end that. */
  start(): () => void {
    const soon = () => this.soon();
    const ends = [changed("logs", soon), paused.subscribe(soon)];
    document.addEventListener("visibilitychange", soon);
    void this.first();
    return () => {
      this.abort.abort();
      clearTimeout(this.timer);
      document.removeEventListener("visibilitychange", soon);
      for (const end of ends) end();
    };
  }

  private async ask(more: Params): Promise<LinePage | undefined> {
    try {
      const answer = await get<LinePage>("logs", { ...this.params, ...more }, this.abort.signal);
      this.error.value = undefined;
      return answer;
    } catch (e) {
      if (!this.abort.signal.aborted) this.error.value = e instanceof APIError ? e : new APIError(String(e), "", 0);
      return undefined;
    }
  }

  /** first begins anew. */
  async first(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const answer = await this.ask({ limit: 2_000 });
    this.asking = false;
    if (this.abort.signal.aborted) return;
    this.busy.value = false;
    if (!answer) return;
    this.lines = answer.logs;
    this.tail = answer.tail;
    this.before(answer);
    this.version.value++;
    if (this.again) this.soon();
  }

  private before(answer: LinePage): void {
    this.next = answer.next ?? "";
    this.older.value = this.next !== "" && this.lines.length < most;
    this.partial.value = !!answer.partial;
  }

  private soon(): void {
    this.again = true;
    if (this.timer || this.asking || paused.peek() || document.hidden) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      void this.since();
    }, Math.max(0, this.last + every - Date.now()));
  }

  private async since(): Promise<void> {
    if (this.asking) return;
    if (this.tail === "") return this.first();
    this.asking = true;
    this.again = false;
    this.last = Date.now();
    const answer = await this.ask({ after: this.tail, limit: page });
    this.asking = false;
    if (!answer || this.abort.signal.aborted) return;
    this.tail = answer.tail;
    if (answer.logs.length) this.take(answer.logs);
    if (this.again || answer.logs.length === page) this.soon();
  }

  private take(lines: Line[]): void {
    const to = this.held ? this.waiting : this.lines;
    for (const l of lines) to.push(l);
    if (to.length > most) {
      if (this.held) this.lost.value += to.length - most;
      to.splice(0, to.length - most);
    }
    this.version.value++;
  }

  /** hold keeps the lines where they are; what comes waits. */
  hold(on: boolean): void {
    if (this.held === on) return;
    this.held = on;
    if (on) return;
    const lines = this.waiting;
    this.waiting = [];
    if (this.lost.value) {
      this.lines = []; // there is a gap
      this.lost.value = 0;
    }
    if (lines.length) this.take(lines);
  }

  /** more asks for lines before the first, and returns how many came. */
  async more(): Promise<number> {
    if (this.asking || !this.next) return 0;
    this.asking = true;
    const answer = await this.ask({ before: this.next, limit: page });
    this.asking = false;
    if (!answer || this.abort.signal.aborted) return 0;
    this.lines = answer.logs.concat(this.lines);
    this.before(answer);
    this.version.value++;
    if (this.again) this.soon();
    return answer.logs.length;
  }
}

/** useTail is the tail of what params ask for. */
export function useTail(params: Params): Tail {
  const key = JSON.stringify(params);
  const tail = useMemo(() => new Tail(params), [key]);
  useEffect(() => tail.start(), [tail]);
  return tail;
}
