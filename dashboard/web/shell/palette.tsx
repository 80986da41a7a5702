// The command palette: everything by a few letters.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { pages } from "../pages";
import { Icon, type IconName } from "./icons";
import { paused, setPaused } from "./live";
import { go, href } from "./router";
import { services, system } from "./system";
import { theme, type Theme } from "./theme";

/** Entry is something that the palette does. */
export interface Entry {
  title: string;
  group: string;
  icon?: IconName;
  keys?: string;
  run: () => void;
}

const providers = new Set<(text: string) => Entry[]>();

/** provide adds entries to the palette until the function that it returns is called. It is given what was typed. */
export function provide(f: (text: string) => Entry[]): () => void {
  providers.add(f);
  return () => void providers.delete(f);
}

/** paletteOpen: the palette is there. */
export const paletteOpen = signal(false);

function entries(text: string): Entry[] {
  const has = system.value?.pages;
  const list: Entry[] = pages
    .filter((p) => p.nav && (!p.needs || !has || has.includes(p.needs)))
    .map((p) => ({ title: p.title, group: "Go to", icon: p.icon, keys: p.keys, run: () => go(p.nav!) }));
  for (const s of services.value) list.push({ title: s.name, group: "Services", icon: "service", run: () => go(href("/services/" + encodeURIComponent(s.name))) });
  list.push({ title: paused.value ? "Resume live updates" : "Pause live updates", group: "View", icon: paused.value ? "play" : "pause", keys: "p", run: () => setPaused(!paused.value) });
  for (const t of ["dark", "light", "auto"] as Theme[])
    list.push({ title: `Theme: ${t === "auto" ? "as the system" : t}`, group: "View", icon: t === "dark" ? "moon" : t === "light" ? "sun" : "auto", run: () => (theme.value = t) });
  for (const f of providers) list.push(...f(text));
  if (/^[0-9a-f]{32}$/i.test(text.trim())) list.unshift({ title: `Trace ${text.trim().slice(0, 8)}…`, group: "Go to", icon: "traces", run: () => go("/traces/" + text.trim().toLowerCase()) });
  return list;
}

// score is how well a title fits what was typed: words that begin with it before those that hold it; undefined if it does not.
function score(e: Entry, words: string[]): number | undefined {
  const title = `${e.title} ${e.group}`.toLowerCase();
  let sum = 0;
  for (const w of words) {
    const i = title.indexOf(w);
    if (i < 0) return undefined;
    sum += i === 0 ? 0 : /[\s\-/.:]/.test(title[i - 1]!) ? 1 : 2;
  }
  return sum;
}

export function Palette() {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const open = paletteOpen.value;
  useEffect(() => {
    const d = dialog.current!;
    if (open && !d.open) {
      setText("");
      setAt(0);
      d.showModal();
      input.current?.focus();
    } else if (!open && d.open) d.close();
  }, [open]);
  const list = useMemo(() => {
    if (!open) return [];
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = entries(text).flatMap((e, i) => {
      const s = score(e, words);
      return s === undefined && !/^[0-9a-f]{32}$/i.test(text.trim()) ? [] : [{ e, s: s ?? 9, i }];
    });
    if (words.length) fits.sort((a, b) => a.s - b.s || a.i - b.i);
    return fits.map((f) => f.e).slice(0, 60);
  }, [open, text, services.value, paused.value]);
  const run = (e: Entry | undefined) => {
    paletteOpen.value = false;
    e?.run();
  };
  const move = (n: number) => {
    const i = (at + n + list.length) % Math.max(list.length, 1);
    setAt(i);
    document.getElementById(`palette-${i}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <dialog ref={dialog} class="palette" aria-label="command palette" onClose={() => (paletteOpen.value = false)} onClick={(e) => e.target === dialog.current && (paletteOpen.value = false)}>
      {open && (
        <div class="palette-box">
          <div class="palette-field">
            <Icon name="search" />
            <input
              ref={input}
              role="combobox"
              aria-expanded="true"
              aria-controls="palette-list"
              aria-activedescendant={list.length ? `palette-${at}` : undefined}
              aria-label="what to do or where to go"
              placeholder="Go to a page, a service, a trace…"
              autocomplete="off"
              spellcheck={false}
              value={text}
              onInput={(e) => (setText(e.currentTarget.value), setAt(0))}
              onKeyDown={(e) => {
                if (e.key === "ArrowDown") (e.preventDefault(), move(1));
                else if (e.key === "ArrowUp") (e.preventDefault(), move(-1));
                else if (e.key === "Enter") (e.preventDefault(), run(list[at]));
              }}
            />
            <kbd>Esc</kbd>
          </div>
          <div id="palette-list" class="palette-list" role="listbox" aria-label="entries">
            {list.map((e, i) => (
              <div key={e.group + e.title} role="presentation">
                {(i === 0 || list[i - 1]!.group !== e.group) && !text && (
                  <div class="palette-group" role="presentation">
                    {e.group}
                  </div>
                )}
                <div id={`palette-${i}`} role="option" aria-selected={i === at} onClick={() => run(e)} onMouseMove={() => setAt(i)}>
                  {e.icon && <Icon name={e.icon} />}
                  <span>{e.title}</span>
                  <span class="grow" />
                  {text && <small>{e.group}</small>}
                  {e.keys && <Keys keys={e.keys} />}
                </div>
              </div>
            ))}
            {list.length === 0 && <p class="palette-none">Nothing fits “{text}”.</p>}
          </div>
        </div>
      )}
    </dialog>
  );
}

/** Keys shows keys as they are on the keyboard. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span class="keys">
      {keys.split(" ").map((k) => (
        <kbd key={k}>{k.replace("ctrl+", "Ctrl ").replace(/(^| )([a-z])$/, (_, a: string, b: string) => a + b.toUpperCase())}</kbd>
      ))}
    </span>
  );
}
