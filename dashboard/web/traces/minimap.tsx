// The whole trace in a strip: where its spans are, and which part of it is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { color } from "../shell/color";
import { duration } from "../shell/format";
import { light } from "../shell/theme";
import type { Tree } from "./tree";

/** Zoom is the part of a trace that is looked at, as shares of its length. */
export type Zoom = [from: number, to: number];

/** Minimap draws all spans and lets a part be chosen; a double click shows all again. */
export function Minimap({ tree, zoom, onZoom }: { tree: Tree; zoom: Zoom; onZoom: (z: Zoom) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<Zoom | undefined>();
  const theme = light.value;
  const height = 44;
  useEffect(() => {
    const el = canvas.current!;
    const sizes = new ResizeObserver(() => setWidth(el.clientWidth));
    sizes.observe(el);
    setWidth(el.clientWidth);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const el = canvas.current!;
    const ratio = devicePixelRatio || 1;
    el.width = width * ratio;
    el.height = height * ratio;
    const g = el.getContext("2d")!;
    g.scale(ratio, ratio);
    const n = tree.spans.length;
    const row = Math.max(0.2, Math.min(5, (height - 4) / Math.max(n, 1)));
    const colors = new Map<string, string>();
    const bad = color("--bad");
    tree.spans.forEach((s, i) => {
      if (s.gap) return;
      let c = s.status === "error" ? bad : colors.get(s.service);
      if (!c) colors.set(s.service, (c = color(s.service, 0.9)));
      g.fillStyle = c;
      g.fillRect((tree.start[i]! / tree.length) * width, 2 + (i / Math.max(n, 1)) * (height - 4), Math.max(1, (s.duration / tree.length) * width), Math.max(1, row - (row > 2 ? 1 : 0)));
    });
  }, [tree, width, theme]);
  const at = (e: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
  };
  const [from, to] = drag ? [Math.min(...drag), Math.max(...drag)] : zoom;
  const whole = from <= 0 && to >= 1;
  return (
    <div class="minimap" style={{ height: `${height}px` }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`the whole trace, ${duration(tree.length)}; ${whole ? "all of it is shown" : `shown is ${duration(from * tree.length)} to ${duration(to * tree.length)}`}`}
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId);
          setDrag([at(e), at(e)]);
        }}
        onPointerMove={(e) => drag && setDrag([drag[0], at(e)])}
        onPointerUp={() => {
          if (drag && Math.abs(drag[1] - drag[0]) > 0.005) onZoom([Math.min(...drag), Math.max(...drag)]);
          setDrag(undefined);
        }}
        onPointerCancel={() => setDrag(undefined)}
        onDblClick={() => onZoom([0, 1])}
      />
      {!whole && (
        <>
          <i class="minimap-off" style={{ left: 0, width: `${from * 100}%` }} />
          <i class="minimap-off" style={{ left: `${to * 100}%`, right: 0 }} />
        </>
      )}
    </div>
  );
}
