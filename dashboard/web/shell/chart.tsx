// Charts of numbers over time.
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { color } from "./color";
import { light } from "./theme";

/** Sparkline is a line of few values without axes. The label says what it shows. */
export function Sparkline({ values, label, tone = "accent", height = 22, width = 96 }: { values: (number | undefined)[]; label: string; tone?: "accent" | "bad" | "warn" | "quiet"; height?: number; width?: number }) {
  const d = useMemo(() => {
    const n = values.length;
    if (n < 2) return { line: "", area: "" };
    const top = Math.max(1e-9, ...values.map((v) => v ?? 0));
    let line = "";
    values.forEach((v, i) => {
      const x = ((i / (n - 1)) * width).toFixed(1);
      const y = (height - 1.5 - ((v ?? 0) / top) * (height - 3)).toFixed(1);
      line += `${i ? "L" : "M"}${x} ${y}`;
    });
    return { line, area: `${line}L${width} ${height}L0 ${height}Z` };
  }, [values, height, width]);
  return (
    <svg class={`sparkline ${tone}`} viewBox={`0 0 ${width} ${height}`} width={width} height={height} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="area" d={d.area} />
      <path class="line" d={d.line} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

/** Series is a line of a chart. */
export interface Series {
  label: string;
  values: (number | null)[];
  color?: string; // name of a service, or a CSS variable such as --bad; default --accent
  dashed?: boolean;
  fill?: boolean;
}

/** Point is a mark on a chart that leads somewhere, such as an exemplar. */
export interface Point {
  time: number;
  value: number;
  title: string;
  open: () => void;
}

type ChartProps = {
  label: string;
  times: number[]; // seconds since 1970
  series: Series[];
  format: (v: number) => string;
  binary?: boolean; // round numbers are powers of two, as for bytes
  height?: number;
  points?: Point[];
  group?: string; // charts of a group have one cursor
  onZoom?: (from: number, to: number) => void; // seconds; a stretch was chosen with the pointer
  min?: number;
  max?: number;
};

const powers = Array.from({ length: 50 }, (_, i) => 2 ** i);

/** Chart draws lines. Values are read with the pointer; the table of those at hand is for those who do not see it. */
export function Chart({ label, times, series, format, binary, height = 180, points, group, onZoom, min, max }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef({ format, points, onZoom });
  latest.current = { format, points, onZoom };
  const shape = JSON.stringify([series.map((s) => [s.label, s.color, s.dashed, s.fill]), height, group, light.value, min, max, binary, points !== undefined]);
  const data = useMemo(() => [times, ...series.map((s) => s.values)] as uPlot.AlignedData, [times, series]);

  useEffect(() => {
    const el = box.current!;
    const faint = color("--text-3");
    const grid = color("--line");
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: faint, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const u = new uPlot(
      {
        width: Math.max(el.clientWidth, 120),
        height,
        padding: [10, 24, 0, 0],
        legend: { show: false },
        cursor: {
          sync: group ? { key: group } : undefined,
          drag: { x: true, y: false, setScale: false },
          points: { size: 6 },
          y: false,
        },
        scales: { x: { time: true }, y: { range: (_u, lo, hi) => [min ?? Math.min(0, lo ?? 0), max ?? (hi && hi > 0 ? hi * 1.1 : 1)] } },
        axes: [
          { ...axis, space: 70, size: 26, values: "{HH}:{mm}:{ss}" as unknown as uPlot.Axis["values"], grid: { show: false } },
          { ...axis, size: 62, space: 34, incrs: binary ? powers : undefined, values: (_u, vs) => vs.map((v) => (v === 0 ? "0" : latest.current.format(v))) },
        ],
        series: [
          {},
          ...series.map((s) => ({
            label: s.label,
            stroke: color(s.color ?? "--accent"),
            width: 1.5,
            dash: s.dashed ? [4, 4] : undefined,
            fill: s.fill ? color(s.color ?? "--accent", 0.12) : undefined,
            points: { show: true, size: 4, filter: alone },
            spanGaps: false,
          })),
        ],
        hooks: {
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              latest.current.onZoom?.(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          setCursor: [(u) => showTip(u, el, latest.current.format)],
          draw: [(u) => drawPoints(u, latest.current.points)],
        },
      },
      data,
      el,
    );
    plot.current = u;
    const sizes = new ResizeObserver(() => el.clientWidth > 0 && u.setSize({ width: el.clientWidth, height }));
    sizes.observe(el);
    const click = (e: MouseEvent) => {
      const hit = pointAt(u, latest.current.points, e);
      hit?.open();
    };
    const over = (e: MouseEvent) => {
      const hit = pointAt(u, latest.current.points, e);
      u.over.style.cursor = hit ? "pointer" : "";
      u.over.title = hit?.title ?? "";
    };
    u.over.addEventListener("click", click);
    u.over.addEventListener("mousemove", over);
    return () => {
      sizes.disconnect();
      u.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data, points]);

  // Who does not see the lines hears the latest number of each.
  const heard = series.map((s) => {
    const v = s.values.findLast((v) => v != null);
    return `${s.label} ${v == null ? "–" : format(v)}`;
  });
  return (
    <figure class="chart">
      <div ref={box} class="plot" role="img" aria-label={times.length ? `${label}: ${heard.join(", ")}` : label}>
        <div class="chart-tip" hidden />
      </div>
      {series.length > 1 && (
        <figcaption class="legend">
          {series.map((s) => (
            <span key={s.label}>
              <i style={{ background: color(s.color ?? "--accent") }} class={s.dashed ? "dashed" : ""} />
              {s.label}
            </span>
          ))}
        </figcaption>
      )}
    </figure>
  );
}

/** alone are the values with none beside them: there is no line to see them by. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series]!;
  const list: number[] = [];
  for (let i = 0; i < values.length; i++) if (values[i] != null && values[i - 1] == null && values[i + 1] == null) list.push(i);
  return list;
}

function showTip(u: uPlot, el: HTMLElement, format: (v: number) => string): void {
  const tip = el.querySelector<HTMLElement>(".chart-tip");
  const i = u.cursor.idx;
  if (!tip) return;
  if (i == null || u.cursor.left == null || u.cursor.left < 0) {
    tip.hidden = true;
    return;
  }
  const rows = u.series.slice(1).map((s, n) => {
    const v = u.data[n + 1]?.[i];
    const row = document.createElement("div");
    const mark = document.createElement("i");
    mark.style.background = typeof s.stroke === "function" ? String(s.stroke(u, n + 1)) : String(s.stroke);
    const name = document.createElement("span");
    name.textContent = String(s.label ?? "");
    const value = document.createElement("b");
    value.textContent = v == null ? "–" : format(v);
    row.append(mark, name, value);
    return row;
  });
  const time = document.createElement("time");
  time.textContent = new Date(u.data[0][i]! * 1000).toLocaleTimeString("en-GB");
  tip.replaceChildren(time, ...rows);
  tip.hidden = false;
  const x = u.cursor.left + u.over.offsetLeft;
  const right = x + 12 + tip.offsetWidth > el.clientWidth;
  tip.style.transform = `translate(${Math.max(0, right ? x - 12 - tip.offsetWidth : x + 12)}px, 8px)`;
}

/** place is where a point stands. One beyond the lines, newer than their end or higher than all, stands at the edge. */
function place(u: uPlot, p: Point, canvas?: boolean): [number, number] {
  const at = (value: number, scale: "x" | "y") => u.valToPos(Math.min(Math.max(value, u.scales[scale]!.min!), u.scales[scale]!.max!), scale, canvas);
  return [at(p.time, "x"), at(p.value, "y")];
}

function drawPoints(u: uPlot, points: Point[] | undefined): void {
  if (!points?.length) return;
  const c = u.ctx;
  c.save();
  c.strokeStyle = color("--surface");
  c.fillStyle = color("--accent");
  c.lineWidth = 1.5 * devicePixelRatio;
  for (const p of points) {
    const [x, y] = place(u, p, true);
    const r = 4 * devicePixelRatio;
    c.beginPath();
    c.moveTo(x, y - r);
    c.lineTo(x + r, y);
    c.lineTo(x, y + r);
    c.lineTo(x - r, y);
    c.closePath();
    c.fill();
    c.stroke();
  }
  c.restore();
}

function pointAt(u: uPlot, points: Point[] | undefined, e: MouseEvent): Point | undefined {
  let best: Point | undefined;
  let near = 10;
  for (const p of points ?? []) {
    const [x, y] = place(u, p);
    const d = Math.hypot(x - e.offsetX, y - e.offsetY);
    if (d < near) [near, best] = [d, p];
  }
  return best;
}
