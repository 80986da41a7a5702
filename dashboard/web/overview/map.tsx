// The service map: layers from those who call to those who are called.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { tint } from "../shell/color";
import { Button } from "../shell/controls";
import { duration, percent, rate } from "../shell/format";
import { Icon } from "../shell/icons";
import { href } from "../shell/router";
import { health, type Service } from "../shell/system";
import { failed, refused, streams, tone } from "../shell/numbers";
import type { CallMap, Numbers } from "../shell/types";
import { Mark, type Finding } from "./advice";
import { Graph, nodeHeight, nodeWidth, type Link, type Picture, type Place } from "./graph";

// It outlives the page, so that coming back finds everything where it was.
const graphs = { across: new Graph(), down: new Graph() };

/** numbers says in words how calls do. */
function numbers(n: Numbers): string {
  return [`${percent(failed(n))} fail`, n.client_errors ? `${percent(refused(n))} client errors` : "", n.p95 ? `p95 ${duration(n.p95)}` : "", streams(n) && `streams: ${streams(n)}`].filter(Boolean).join(", ");
}

function words(l: Link): string {
  const how = l.dashed ? ` by ${l.topics.length ? l.topics.join(", ") : "events"}` : "";
  return `${l.from} to ${l.to}${how}: ${l.stale ? "nothing now" : `${rate(l.calls)}, ${numbers(l)}`}`;
}

export function ServiceMap({ map, services, infrastructure, findings }: { map: CallMap; services: Service[]; infrastructure: boolean; findings: Finding[] }) {
  const view = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [zoom, setZoom] = useState<number | undefined>(undefined); // none: as it fits
  const [over, setOver] = useState<string | undefined>(undefined); // a service
  const [edge, setEdge] = useState<{ link: Link; x: number; y: number } | undefined>(undefined);
  const drag = useRef<{ x: number; y: number; left: number; top: number; moved: boolean } | undefined>(undefined);

  useLayoutEffect(() => {
    const el = view.current!;
    const sizes = new ResizeObserver(() => setWidth(el.clientWidth));
    sizes.observe(el);
    setWidth(el.clientWidth);
    return () => sizes.disconnect();
  }, []);
  const down = width > 0 && width < 640;
  const picture: Picture = useMemo(() => (down ? graphs.down : graphs.across).draw(map, services, infrastructure, down), [map, services, infrastructure, down]);
  const fit = width ? Math.max(down ? 0.2 : 0.7, Math.min(1, (width - 2) / Math.max(picture.width, 1), down ? 1 : 640 / Math.max(picture.height, 1))) : 1;
  const scale = zoom ?? fit;
  const height = Math.max(140, Math.min(picture.height * scale, down ? 600 : picture.places.length > 24 ? 860 : 680));

  // Ctrl and the wheel zoom where the pointer is; a wheel alone scrolls, as everywhere.
  useEffect(() => {
    const el = view.current!;
    const wheel = (e: WheelEvent) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const box = el.getBoundingClientRect();
      const [x, y] = [e.clientX - box.left, e.clientY - box.top];
      setZoom((z) => {
        const before = z ?? scale;
        const after = Math.max(0.25, Math.min(2, before * Math.exp(-e.deltaY / 400)));
        requestAnimationFrame(() => {
          el.scrollLeft = ((el.scrollLeft + x) / before) * after - x;
          el.scrollTop = ((el.scrollTop + y) / before) * after - y;
        });
        return after;
      });
    };
    el.addEventListener("wheel", wheel, { passive: false });
    return () => el.removeEventListener("wheel", wheel);
  }, [scale]);

  const near = useMemo(() => {
    if (!over) return undefined;
    const set = new Set([over]);
    for (const l of picture.links) if (l.from === over || l.to === over) (set.add(l.from), set.add(l.to));
    return set;
  }, [over, picture]);
  const labels = picture.links.length <= 32 && !down;

  return (
    <div class={scale < 0.6 ? "map far" : "map"}>
      <div
        ref={view}
        class="map-view"
        style={{ height: `${height}px` }}
        onPointerDown={(e) => {
          if (e.pointerType === "touch" || e.button !== 0) return;
          const el = e.currentTarget;
          drag.current = { x: e.clientX, y: e.clientY, left: el.scrollLeft, top: el.scrollTop, moved: false };
        }}
        onPointerMove={(e) => {
          const d = drag.current;
          if (!d) return;
          if (!d.moved && Math.hypot(e.clientX - d.x, e.clientY - d.y) > 4) {
            d.moved = true;
            e.currentTarget.setPointerCapture(e.pointerId);
          }
          if (d.moved) {
            e.currentTarget.scrollLeft = d.left - (e.clientX - d.x);
            e.currentTarget.scrollTop = d.top - (e.clientY - d.y);
          }
        }}
        onPointerUp={() => setTimeout(() => (drag.current = undefined))}
        onPointerCancel={() => (drag.current = undefined)}
        onClickCapture={(e) => drag.current?.moved && (e.preventDefault(), e.stopPropagation())}
        onDragStart={(e) => e.preventDefault()}
      >
        <div class="map-space" style={{ width: `${picture.width * scale}px`, height: `${picture.height * scale}px`, marginLeft: `${Math.max(0, (width - picture.width * scale) / 2)}px` }}>
          <div class="map-world" style={{ width: `${picture.width}px`, height: `${picture.height}px`, transform: `scale(${scale})` }}>
            <svg width={picture.width} height={picture.height} aria-hidden="true">
              <defs>
                {["", "warn", "bad"].map((t) => (
                  <marker key={t} id={`arrow-${t}`} class={`map-arrow ${t}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
                    <path d="M1 1 7 4 1 7z" />
                  </marker>
                ))}
              </defs>
              {picture.links.map((l) => {
                const t = tone(l);
                const dim = near && l.from !== over && l.to !== over;
                const d = l.path;
                return (
                  <g key={l.id} class={`map-edge ${t} ${l.dashed ? "dashed" : ""} ${l.stale ? "stale" : ""} ${dim ? "dim" : ""} ${near && !dim ? "near" : ""}`}>
                    <path d={d} style={{ strokeWidth: `${Math.min(4, 1.25 + Math.log10(1 + l.calls) * 0.9)}px` }} marker-end={`url(#arrow-${t})`} />
                    <path class="map-hit" d={d} onMouseMove={(e) => setEdge({ link: l, x: e.clientX, y: e.clientY })} onMouseLeave={() => setEdge(undefined)} />
                  </g>
                );
              })}
            </svg>
            {picture.links.map((l) => {
              const dim = near && l.from !== over && l.to !== over;
              if (dim || l.stale || (!labels && !near)) return null;
              return (
                <span key={l.id} class={`map-label ${tone(l)}`} style={{ transform: `translate(${l.label.x}px, ${l.label.y}px) translate(-50%, -50%)` }} aria-hidden="true">
                  {l.calls > 0 || !l.open ? rate(l.calls) : ""}
                  {l.p95 > 0 && <> · {duration(l.p95)}</>}
                  {!!l.open && <>{l.calls > 0 && " · "}{l.open} open</>}
                  {l.errors > 0 && <b> · {percent(l.errors / l.calls)}</b>}
                </span>
              );
            })}
            {picture.links.map((l) => (
              <Mark key={l.id} link={l} findings={findings} />
            ))}
            <ul class="map-nodes" aria-label="services of the map">
              {picture.places.map((p) => (
                <li key={p.name}>
                  <MapNode p={p} links={picture.links} dim={!!near && !near.has(p.name)} onOver={setOver} />
                </li>
              ))}
            </ul>
          </div>
        </div>
      </div>
      <div class="map-foot">
        {picture.links.some((l) => l.dashed) && (
          <span class="map-legend">
            <i /> calls <i class="dashed" /> events
          </span>
        )}
        <span class="grow" />
        <Button small tone="ghost" icon="plus" label="larger" onClick={() => setZoom(Math.min(2, scale * 1.25))} />
        <Button small tone="ghost" icon="minus" label="smaller" onClick={() => setZoom(Math.max(0.25, scale / 1.25))} />
        <Button small tone="ghost" icon="fit" label="as it fits" disabled={zoom === undefined} onClick={() => setZoom(undefined)} />
      </div>
      {edge && <EdgeTip {...edge} />}
    </div>
  );
}

function MapNode({ p, links, dim, onOver }: { p: Place; links: Link[]; dim: boolean; onOver: (name: string | undefined) => void }) {
  const h = p.running && health(p.running);
  const t = h?.tone === "bad" ? "bad" : tone(p);
  const out = links.filter((l) => l.from === p.name);
  // For those who do not see the map: what the numbers are, and whom it calls.
  // A service that only calls says how much.
  const made = p.calls ? 0 : out.reduce((sum, l) => sum + (l.stale ? 0 : l.calls), 0);
  const more = [p.calls ? numbers(p) : "", h && h.tone !== "good" ? h.text : "", out.length ? `calls ${out.map((l) => l.to).join(", ")}` : ""].filter(Boolean).join("; ");
  const style = { ...tint(p.name), width: `${nodeWidth}px`, height: `${nodeHeight}px`, transform: `translate(${p.x - nodeWidth / 2}px, ${p.y - nodeHeight / 2}px)` };
  const inner = (
    <>
      <strong>
        {p.kind === "db" ? <Icon name="store" size={14} /> : p.kind === "messaging" ? <Icon name="events" size={14} /> : p.kind === "external" ? <Icon name="link" size={14} /> : <span class="swatch" />}
        <span class="ellipsis">{p.name}</span>
        {h && h.tone !== "good" && <span class={`dot ${h.tone}`} />}
        {p.running && p.running.instances.length > 1 && <small>×{p.running.instances.length}</small>}
      </strong>
      <span class="map-numbers">
        {h?.tone === "bad" ? (
          <em>{h.text}</em>
        ) : p.calls > 0 ? (
          <>
            {rate(p.calls)}
            <i />
            {p.p95 ? duration(p.p95) : p.open ? `${p.open} open` : "–"}
            {p.errors > 0 && (
              <>
                <i />
                <em>{percent(p.errors / p.calls)}</em>
              </>
            )}
          </>
        ) : h?.tone === "quiet" || h?.tone === "warn" ? (
          h.text
        ) : (
          (p.system ?? (made ? `makes ${rate(made)}` : "no calls"))
        )}
      </span>
    </>
  );
  const cls = `map-node ${p.kind} ${t} ${dim ? "dim" : ""} ${h?.tone === "quiet" ? "off" : ""}`;
  const events = { onMouseEnter: () => onOver(p.name), onMouseLeave: () => onOver(undefined), onFocus: () => onOver(p.name), onBlur: () => onOver(undefined) };
  if (p.kind !== "service" && !p.running)
    return (
      <div class={cls} style={style} tabIndex={0} role="img" aria-label={[p.name, p.system ?? p.kind, more].filter(Boolean).join("; ")} {...events}>
        {inner}
      </div>
    );
  return (
    <a class={cls} style={style} href={href("/services/" + encodeURIComponent(p.name))} {...events}>
      {inner}
      {more && <span class="away"> {more}</span>}
    </a>
  );
}

function EdgeTip({ link: l, x, y }: { link: Link; x: number; y: number }) {
  const right = x > innerWidth - 260;
  return (
    <div class="map-tip" role="tooltip" aria-label={words(l)} style={{ transform: `translate(${right ? x - 252 : x + 14}px, ${y + 14}px)` }}>
      <strong>
        {l.from} <Icon name="right" size={12} /> {l.to}
      </strong>
      {l.topics.map((t) => (
        <code key={t}>{t}</code>
      ))}
      {l.stale ? (
        <p>Nothing in this window</p>
      ) : (
        <dl>
          <dt>Rate</dt>
          <dd>{rate(l.calls)}</dd>
          <dt>Errors</dt>
          <dd class={l.errors > 0 ? "bad-text" : ""}>{percent(failed(l))}</dd>
          {!!l.client_errors && (
            <>
              <dt>Client errors</dt>
              <dd>{percent(refused(l))}</dd>
            </>
          )}
          {streams(l) && (
            <>
              <dt>Streams</dt>
              <dd>{streams(l)}</dd>
            </>
          )}
          {l.p95 > 0 && (
            <>
              <dt>p50</dt>
              <dd>{duration(l.p50)}</dd>
              <dt>p95</dt>
              <dd>{duration(l.p95)}</dd>
              <dt>p99</dt>
              <dd>{duration(l.p99)}</dd>
            </>
          )}
        </dl>
      )}
    </div>
  );
}
