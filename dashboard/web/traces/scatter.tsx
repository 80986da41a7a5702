// Traces as points: when they began, and how long they took. A stretch that is drawn selects.
import { useEffect, useRef, useState } from "preact/hooks";
import { color } from "../shell/color";
import { clock, count, duration, plural } from "../shell/format";
import { go } from "../shell/router";
import { light } from "../shell/theme";
import { took, type Summary } from "./types";

const left = 66;
const bottom = 20;
const top = 8;
const right = 8;

interface Scale {
  from: number; // milliseconds
  to: number;
  low: number; // log10 of nanoseconds
  high: number;
}

/** Area is what was drawn around: times in milliseconds, durations in nanoseconds. */
export interface Area {
  from: number;
  to: number;
  min: number;
  max: number;
}

function scaleOf(traces: Summary[], from: number, to: number): Scale {
  let low = Infinity;
  let high = -Infinity;
  for (const t of traces) {
    const d = Math.log10(Math.max(t.duration, 1000));
    low = Math.min(low, d);
    high = Math.max(high, d);
  }
  if (low > high) [low, high] = [5, 8];
  low = Math.floor(low * 2) / 2;
  high = Math.max(Math.ceil(high * 2) / 2, low + 1);
  return { from, to, low, high };
}

type Props = {
  traces: Summary[];
  found: number; // of so many; 0: not known yet
  partial: boolean | undefined; // older ones were not looked at
  from: number;
  to: number;
  onArea: (a: Area) => void;
};

/** Scatter shows up to some thousand traces. It stands still while the pointer is in it. */
export function Scatter({ traces, found, partial, from, to, onArea }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ w: 0, h: 0 });
  const [reading, setReading] = useState(false);
  const [hit, setHit] = useState<{ t: Summary; x: number; y: number } | undefined>();
  const [brush, setBrush] = useState<[number, number, number, number] | undefined>();
  const still = useRef({ traces, from, to });
  if (!reading && !brush) still.current = { traces, from, to };
  const now = still.current;
  const scale = scaleOf(now.traces, now.from, now.to);
  const x = (ms: number) => left + ((ms - scale.from) / (scale.to - scale.from)) * (size.w - left - right);
  const y = (ns: number) => top + (1 - (Math.log10(Math.max(ns, 1000)) - scale.low) / (scale.high - scale.low)) * (size.h - top - bottom);

  useEffect(() => {
    const el = canvas.current!;
    const look = () => setSize({ w: el.clientWidth, h: el.clientHeight });
    const sizes = new ResizeObserver(look);
    sizes.observe(el);
    look();
    return () => sizes.disconnect();
  }, []);

  const theme = light.value;
  useEffect(() => {
    const el = canvas.current!;
    const ratio = devicePixelRatio || 1;
    el.width = size.w * ratio;
    el.height = size.h * ratio;
    const g = el.getContext("2d")!;
    g.scale(ratio, ratio);
    g.clearRect(0, 0, size.w, size.h);
    g.font = "11px " + getComputedStyle(document.documentElement).getPropertyValue("--sans");
    g.textBaseline = "middle";
    const line = color("--line");
    const label = color("--text-3");
    for (let d = Math.ceil(scale.low); d <= scale.high; d++) {
      const at = y(10 ** d);
      g.fillStyle = line;
      g.fillRect(left, at, size.w - left - right, 1);
      g.fillStyle = label;
      g.textAlign = "right";
      g.fillText(duration(10 ** d).replace(/\.0+ /, " "), left - 8, at);
    }
    const steps = Math.max(2, Math.min(8, Math.floor((size.w - left) / 110)));
    for (let i = 0; i <= steps; i++) {
      const ms = scale.from + ((scale.to - scale.from) * i) / steps;
      g.fillStyle = label;
      g.textAlign = i === 0 ? "left" : i === steps ? "right" : "center";
      g.fillText(clock(ms, false), x(ms), size.h - bottom / 2 + 2);
    }
    const dot = (t: Summary, bad: boolean) => {
      g.beginPath();
      g.arc(x(Date.parse(t.start)), y(t.duration), bad ? 3.6 : 3, 0, 7);
      g.fill();
    };
    g.fillStyle = color("--text-3", 0.5);
    for (const t of now.traces) if (!t.errors && took(t) < 0) dot(t, false);
    g.fillStyle = color("--accent", 0.55);
    for (const t of now.traces) if (!t.errors && took(t) >= 0) dot(t, false);
    g.fillStyle = color("--bad", 0.9);
    for (const t of now.traces) if (t.errors) dot(t, true);
    if (hit) {
      g.strokeStyle = color("--text");
      g.lineWidth = 1.5;
      g.beginPath();
      g.arc(x(Date.parse(hit.t.start)), y(hit.t.duration), 6, 0, 7);
      g.stroke();
    }
    if (brush) {
      const [x1, y1, x2, y2] = brush;
      g.fillStyle = color("--accent", 0.14);
      g.strokeStyle = color("--accent");
      g.lineWidth = 1;
      g.fillRect(Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1));
      g.strokeRect(Math.min(x1, x2), Math.min(y1, y2), Math.abs(x2 - x1), Math.abs(y2 - y1));
    }
  }, [now.traces, now.from, now.to, size.w, size.h, hit, brush, theme]);

  const near = (px: number, py: number) => {
    let best: Summary | undefined;
    let least = 14 * 14;
    for (const t of now.traces) {
      const d = (x(Date.parse(t.start)) - px) ** 2 + (y(t.duration) - py) ** 2;
      if (d < least) [best, least] = [t, d];
    }
    return best;
  };
  const place = (e: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  };
  const failed = now.traces.filter((t) => t.errors).length;
  return (
    <div class="scatter">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${plural(now.traces.length, "trace")} by time and duration, ${failed} of them with errors`}
        onPointerEnter={() => setReading(true)}
        onPointerLeave={() => (setReading(false), setHit(undefined))}
        onPointerDown={(e) => {
          const [px, py] = place(e);
          e.currentTarget.setPointerCapture(e.pointerId);
          setBrush([px, py, px, py]);
        }}
        onPointerMove={(e) => {
          const [px, py] = place(e);
          if (brush) return setBrush([brush[0], brush[1], px, py]);
          const t = near(px, py);
          setHit(t && { t, x: px, y: py });
        }}
        onPointerUp={(e) => {
          if (!brush) return;
          const [x1, y1, x2, y2] = brush;
          setBrush(undefined);
          if (Math.abs(x2 - x1) < 5 && Math.abs(y2 - y1) < 5) {
            const t = near(...place(e));
            if (t) go("/traces/" + t.trace_id);
            return;
          }
          const ms = (px: number) => scale.from + ((px - left) / (size.w - left - right)) * (scale.to - scale.from);
          const ns = (py: number) => 10 ** (scale.low + (1 - (py - top) / (size.h - top - bottom)) * (scale.high - scale.low));
          onArea({
            from: Math.max(ms(Math.min(x1, x2)), scale.from),
            to: Math.min(ms(Math.max(x1, x2)), scale.to),
            min: Math.abs(y2 - y1) < 5 ? 0 : ns(Math.max(y1, y2)),
            max: Math.abs(y2 - y1) < 5 ? 0 : ns(Math.min(y1, y2)),
          });
        }}
        onPointerCancel={() => setBrush(undefined)}
      />
      {found !== now.traces.length && (
        <p class="scatter-note note">
          {found ? `${count(now.traces.length)} of ${count(found)} traces stand for all, among them the slowest and those that failed` : "the newest 1,000"}
          {partial && "; older ones were not looked at"}
        </p>
      )}
      {hit && !brush && (
        <div class="chart-tip" style={{ transform: `translate(${Math.min(hit.x + 14, size.w - 230)}px, ${Math.max(4, hit.y - 60)}px)` }}>
          <time>{clock(hit.t.start)}</time>
          <div>
            {hit.t.service} {hit.t.name}
          </div>
          <div>
            {plural(hit.t.spans, "span")}
            {hit.t.errors > 0 && <span class="bad-text">{plural(hit.t.errors, "error")}</span>}
            {hit.t.running ? <span>running</span> : hit.t.stream && <span>stream</span>}
            <b>{duration(hit.t.duration)}</b>
          </div>
        </div>
      )}
    </div>
  );
}
