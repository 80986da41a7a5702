// Logs: what all services say, merged, as they say it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { tint } from "../shell/color";
import { Search, Segments, Select } from "../shell/controls";
import { count, plural } from "../shell/format";
import { Icon } from "../shell/icons";
import { useKeys } from "../shell/keys";
import { List } from "../shell/list";
import { paused } from "../shell/live";
import { Frame, type Page } from "../shell/page";
import { go, param, setParams } from "../shell/router";
import { Empty, Failure, Loading, Untold } from "../shell/states";
import { services } from "../shell/system";
import { suggest } from "../traces/suggest";
import { Details, Row, spanOf } from "./row";
import { most, useTail } from "./tail";
import type { Line } from "./types";
import { words } from "./words";
import "./logs.css";

const height = 22;
const levels = ["", "debug", "info", "warn", "error"];
const spans = ["", "5m", "15m", "1h", "6h", "1d"];

/** toggle chooses a line, or none when it is the chosen one. */
const toggle = (l: Line) => setParams({ line: l.id === param("line") ? "" : l.id });

function Services({ chosen }: { chosen: string[] }) {
  const names = [...new Set([...services.value.map((s) => s.name), ...chosen])].sort();
  if (names.length < 2 && !chosen.length) return null;
  const toggle = (name: string) => setParams({ service: (chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name]).join(","), line: "" });
  return (
    <div class="log-services" role="group" aria-label="services">
      <button type="button" aria-pressed={chosen.length === 0} onClick={() => setParams({ service: "", line: "" })}>
        All
      </button>
      {names.map((name) => (
        <button type="button" key={name} aria-pressed={chosen.includes(name)} onClick={() => toggle(name)}>
          <span class="swatch" style={tint(name)} />
          {name}
        </button>
      ))}
    </div>
  );
}

function Logs() {
  const filter = param("q");
  const level = levels.includes(param("level")) ? param("level") : "";
  const back = spans.includes(param("window")) ? param("window") : "";
  const service = param("service");
  const chosen = useMemo(() => service.split(",").filter(Boolean), [service]);
  const tail = useTail({ q: filter, level, service, window: back });
  void tail.version.value;
  const scroller = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const marks = useMemo(() => words(filter), [filter]);
  const { lines } = tail;
  const head = tail.older.value ? 1 : 0; // the row that leads to older lines
  const id = param("line");
  const at = useMemo(() => (id ? lines.findIndex((l) => l.id === id) : -1), [id, tail, tail.version.value]);
  const line = at >= 0 ? lines[at] : undefined;
  const reading = !atEnd || !!line;
  tail.hold(reading);
  const waiting = tail.waiting.length;

  useEffect(() => setAtEnd(true), [tail]);
  const before = async () => {
    const el = scroller.current;
    const had = head;
    const n = await tail.more();
    if (!n || !el) return;
    const by = n + (tail.older.peek() ? 1 : 0) - had;
    requestAnimationFrame(() => (el.scrollTop += by * height));
  };
  const toEnd = () => {
    tail.hold(false);
    setParams({ line: "" });
    setAtEnd(true);
    requestAnimationFrame(() => {
      const el = scroller.current;
      if (el) el.scrollTop = el.scrollHeight;
    });
  };
  const choose = (i: number) => {
    const l = lines[Math.max(0, Math.min(lines.length - 1, i))];
    const el = scroller.current;
    if (!l || !el) return;
    const top = (head + lines.indexOf(l)) * height;
    if (top < el.scrollTop) el.scrollTop = top - 2 * height;
    else if (top + height > el.scrollTop + el.clientHeight) el.scrollTop = top - el.clientHeight + 3 * height;
    setParams({ line: l.id });
  };
  const lastSeen = () => {
    const el = scroller.current;
    return el ? Math.min(lines.length - 1, Math.floor((el.scrollTop + el.clientHeight) / height) - 1 - head) : lines.length - 1;
  };
  const step = (n: number) => choose(at < 0 ? lastSeen() : at + n);
  useKeys(
    [
      { keys: "j", what: "next line", group: "This page", run: () => step(1) },
      { keys: "k", what: "line before", group: "This page", run: () => step(-1) },
      { keys: "ArrowDown", what: "next line", group: "This page", hidden: true, run: () => step(1) },
      { keys: "ArrowUp", what: "line before", group: "This page", hidden: true, run: () => step(-1) },
      { keys: "t", what: "trace of the chosen line", group: "This page", run: () => line?.trace_id && go(spanOf(line)) },
      { keys: "e", what: "to the newest lines", group: "This page", run: toEnd },
      { keys: "End", what: "to the newest lines", group: "This page", hidden: true, run: toEnd },
      { keys: "Escape", what: "close the chosen line", group: "This page", hidden: true, run: () => setParams({ line: "" }) },
    ],
    [tail, tail.version.value, at],
  );
  const add = (term: string) => setParams({ q: (filter + " " + term).trim(), line: "" }, true);
  const error = tail.error.value;
  const wrong = error?.status === 400 ? error.message : "";
  const narrowed = filter || level || service || back;
  return (
    <Frame
      fill
      title="Logs"
      note={lines.length ? `${plural(lines.length, "line")}${lines.length >= most ? ", the newest" : ""}${tail.partial.value ? ", the search was cut short" : ""}` : undefined}
      actions={
        <>
          <Segments label="level" value={level} options={levels.map((l) => ({ value: l, text: l || "All", title: l ? `${l} and worse` : "all levels" }))} onChange={(v) => setParams({ level: v, line: "" })} />
          <Select label="how far back" value={back} options={spans.map((s) => ({ value: s, text: s ? "Last " + s : "All time" }))} onChange={(v) => setParams({ window: v, line: "" })} />
        </>
      }
    >
      <div class="log-tools">
        <Search
          label="filter lines"
          placeholder='Filter: words -without "a phrase" /regexp/ key=value level:warn trace:ID'
          value={filter}
          error={wrong}
          onChange={(v) => setParams({ q: v, line: "" })}
          suggestions={(text) => suggest("logs", text)}
        />
        <Services chosen={chosen} />
      </div>
      {error && !wrong && <Failure error={error} retry={() => void tail.first()} />}
      {wrong ? (
        <Empty icon="search" title="This filter cannot be read">
          {wrong}
        </Empty>
      ) : tail.busy.value ? (
        <Loading rows={12} />
      ) : lines.length === 0 ? (
        narrowed ? (
          <Empty icon="search" title="No line fits">
            New ones that do appear here. <a href="/logs">Show all lines</a>
          </Empty>
        ) : (
          <Untold icon="logs" title="Nothing was said yet" command="hanse logs -f">
            What services log or print appears here at once.
          </Untold>
        )
      ) : (
        <div class={`log-body${line ? " open" : ""}`}>
          <div class="log-pane">
            <List
              label="log lines"
              class="log-list"
              count={lines.length + head}
              height={height}
              tail={!line}
              onTail={setAtEnd}
              scroller={scroller}
              render={(i) => {
                const l = lines[i - head];
                return l ? (
                  <Row key={l.id} line={l} words={marks} chosen={l.id === id} place={i - head} of={lines.length} onChoose={toggle} />
                ) : (
                  <div key="older" class="log-row log-older" role="listitem">
                    <button type="button" onClick={() => void before()}>
                      <Icon name="up" size={12} /> Older lines
                    </button>
                  </div>
                );
              }}
            />
            {reading && (
              <button type="button" class="log-pill" onClick={toEnd}>
                <Icon name="down" size={12} />
                {waiting ? `${count(waiting)} new ${waiting === 1 ? "line" : "lines"}` : "To the newest"}
              </button>
            )}
            {paused.value && !reading && <span class="log-pill quiet">paused</span>}
          </div>
          {line && <Details line={line} onClose={() => setParams({ line: "" })} onFilter={add} />}
        </div>
      )}
    </Frame>
  );
}

export const logs: Page = { title: "Logs", path: /^\/logs$/, component: Logs, nav: "/logs", icon: "logs", keys: "g l" };
