// The frame of all pages: navigation at the left, or behind a button where the screen is narrow.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { pages } from "../pages";
import { Button, Dot } from "./controls";
import { Help, helpOpen } from "./help";
import { Icon, Mark } from "./icons";
import { useKeys } from "./keys";
import { connected, held, paused, setPaused } from "./live";
import { Keys, Palette, paletteOpen } from "./palette";
import { follow, go, path } from "./router";
import { Empty, Failure } from "./states";
import { health, refreshSystem, services, system, systemError } from "./system";
import { theme, type Theme } from "./theme";
import { Toasts } from "./toast";

const navOpen = signal(false);

function shown(needs: string | undefined): boolean {
  return !needs || (system.value?.pages.includes(needs) ?? false);
}

function Nav() {
  const at = path.value;
  const here = (to: string) => (to === "/" ? at === "/" : at === to || at.startsWith(to + "/"));
  return (
    <nav class={`nav${navOpen.value ? " open" : ""}`} aria-label="pages" onClick={(e) => (e.target as Element).closest("a") && (navOpen.value = false)}>
      <a class="nav-system" href="/">
        <Mark />
        <span class="nav-name">
          <strong>{system.value?.name ?? "Hanse"}</strong>
          <small>{system.value ? (system.value.kind === "dev" ? "hanse dev" : system.value.production ? "production" : system.value.kind) : "…"}</small>
        </span>
      </a>
      <button type="button" class="nav-find" onClick={() => (paletteOpen.value = true)}>
        <Icon name="search" size={14} />
        <span>Find</span>
        <span class="grow" />
        <Keys keys="ctrl+k" />
      </button>
      <ul>
        {pages
          .filter((p) => p.nav && shown(p.needs))
          .map((p) => (
            <li key={p.nav}>
              <a href={p.nav} aria-current={here(p.nav!) ? "page" : undefined} title={p.keys && `${p.title} (${p.keys})`}>
                <Icon name={p.icon!} />
                <span>{p.title}</span>
              </a>
            </li>
          ))}
      </ul>
      {services.value.length > 0 && (
        <>
          <h2 id="nav-services">Services</h2>
          <ul class="nav-services" aria-labelledby="nav-services">
            {services.value.map((s) => {
              const h = health(s);
              const to = "/services/" + encodeURIComponent(s.name);
              return (
                <li key={s.name}>
                  <a href={to} aria-current={at === to ? "page" : undefined}>
                    <Dot tone={h.tone} label={h.text} />
                    <span class="ellipsis">{s.name}</span>
                    {s.instances.length > 1 && <small>{s.instances.length}</small>}
                  </a>
                </li>
              );
            })}
          </ul>
        </>
      )}
      <span class="grow" />
      <div class="nav-foot">
        <Live />
        <span class="grow" />
        <ThemeButton />
        <Button icon="help" label="keyboard (?)" tone="ghost" small onClick={() => (helpOpen.value = true)} />
      </div>
    </nav>
  );
}

function Live() {
  const off = !connected.value;
  const on = !paused.value;
  const text = off ? "no connection" : on ? "live" : held.value ? `paused, ${held.value} new` : "paused";
  return (
    <button type="button" class={`live ${off ? "off" : on ? "on" : ""}`} aria-pressed={!on} title={on ? "pause (p)" : "resume (p)"} onClick={() => setPaused(on)}>
      {off ? <Icon name="warn" size={14} /> : on ? <span class="pulse" /> : <Icon name="play" size={12} />}
      <span aria-live="off">{text}</span>
    </button>
  );
}

function ThemeButton() {
  const next: Record<Theme, Theme> = { auto: "dark", dark: "light", light: "auto" };
  const t = theme.value;
  return <Button icon={t === "auto" ? "auto" : t === "dark" ? "moon" : "sun"} label={`theme: ${t === "auto" ? "as the system" : t}`} tone="ghost" small onClick={() => (theme.value = next[t])} />;
}

function Current() {
  const at = path.value;
  for (const p of pages) {
    const m = p.path.exec(at);
    if (m && (!system.value || shown(p.needs))) {
      const Component = p.component;
      return <Component args={m.slice(1).map((a) => decodeURIComponent(a ?? ""))} />;
    }
  }
  if (!system.value) return null;
  return (
    <div class="frame">
      <Empty icon="search" title="There is no such page">
        Nothing is at <code>{at}</code>. <a href="/">To the overview</a>
      </Empty>
    </div>
  );
}

/** Layout is the whole window. */
export function Layout() {
  useEffect(() => void refreshSystem(), []);
  useEffect(() => {
    document.addEventListener("click", follow);
    return () => document.removeEventListener("click", follow);
  }, []);
  const page = pages.find((p) => p.path.test(path.value));
  const name = system.value?.name;
  useEffect(() => {
    const part = decodeURIComponent(path.value.split("/")[2] ?? "");
    document.title = [part, page?.title, name ?? "Hanse"].filter(Boolean).join(" · ");
  }, [page, name, path.value]);
  useKeys(
    [
      { keys: "ctrl+k", what: "find anything", group: "Everywhere", run: () => (paletteOpen.value = !paletteOpen.value) },
      { keys: "?", what: "this help", group: "Everywhere", run: () => (helpOpen.value = true) },
      { keys: "p", what: "pause or resume live updates", group: "Everywhere", run: () => setPaused(!paused.value) },
      { keys: "Escape", what: "close", group: "Everywhere", hidden: true, run: () => ((navOpen.value = false), (document.activeElement as HTMLElement | null)?.blur()) },
      ...pages.filter((p) => p.keys && p.nav && shown(p.needs)).map((p) => ({ keys: p.keys!, what: p.title.toLowerCase(), group: "Go to", run: () => go(p.nav!) })),
    ],
    [system.value?.pages.join()],
  );
  return (
    <div class="layout">
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), e.stopPropagation(), document.getElementById("main")?.focus())}>
        To the content
      </a>
      <header class="topbar">
        <Button icon="menu" label="pages" tone="ghost" aria-expanded={navOpen.value} onClick={() => (navOpen.value = !navOpen.value)} />
        <Mark />
        <strong class="ellipsis">{page?.title ?? "Hanse"}</strong>
        <span class="grow" />
        <Live />
        <Button icon="search" label="find" tone="ghost" onClick={() => (paletteOpen.value = true)} />
      </header>
      <Nav />
      {navOpen.value && <div class="shade" onClick={() => (navOpen.value = false)} />}
      <main id="main" tabIndex={-1}>
        {system.value?.production && (
          <div class="banner" role="note">
            <Icon name="warn" /> <span class="ellipsis">Production: {system.value.name}</span> {system.value.read_only && <small>It is only shown: nothing here can be changed.</small>}
          </div>
        )}
        {systemError.value && <Failure error={systemError.value} retry={() => void refreshSystem()} />}
        <Current />
      </main>
      <Palette />
      <Help />
      <Toasts />
    </div>
  );
}
