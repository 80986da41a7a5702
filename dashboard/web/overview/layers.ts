// Layers of a graph: who calls stands before whom it calls, edges cross as little as a few sweeps find, and all is as straight as the
// order allows. It is the method of Sugiyama, small enough to be our own; the same graph always gets the same places.

export interface Laid {
  at: Map<string, Point>; // middles of nodes
  ways: { path: string; label: Point }[]; // of the edges, in their order
  width: number;
  height: number;
}

interface Spot {
  name: string; // "" of a bend of a long edge
  layer: number;
  size: number; // across the layers
  pos: number; // across the layers
  before: Spot[];
  after: Spot[];
}

const margin = 16;

/** layers lays out a graph, from left to right or, with down, from top to bottom. */
export function layers(names: string[], edges: { from: string; to: string }[], node: { width: number; height: number }, down: boolean, dense: boolean): Laid {
  const across = down ? node.width : node.height;
  const along = down ? node.height : node.width;
  const gap = down ? 20 : dense ? 14 : 22;
  const rank = along + (down ? 64 : dense ? 86 : 150);
  const bend = down ? 30 : 14;

  const out = new Map<string, string[]>(names.map((n) => [n, []]));
  const into = new Map<string, number>(names.map((n) => [n, 0]));
  for (const e of edges) {
    out.get(e.from)!.push(e.to);
    into.set(e.to, into.get(e.to)! + 1);
  }
  // Edges that close a circle are turned round.
  const state = new Map<string, 1 | 2>();
  const order: string[] = [];
  const back = new Set<string>();
  const visit = (n: string) => {
    state.set(n, 1);
    for (const to of out.get(n)!) {
      if (state.get(to) === 1) back.add(`${n}\n${to}`);
      else if (!state.has(to)) visit(to);
    }
    state.set(n, 2);
    order.unshift(n);
  };
  for (const n of [...names].sort((a, b) => into.get(a)! - into.get(b)! || (a < b ? -1 : 1))) if (!state.has(n)) visit(n);
  const forward = edges.map((e) => (back.has(`${e.from}\n${e.to}`) ? { from: e.to, to: e.from } : e));

  const layer = new Map<string, number>(names.map((n) => [n, 0]));
  for (const n of order) for (const e of forward) if (e.from === n) layer.set(e.to, Math.max(layer.get(e.to)!, layer.get(n)! + 1));
  for (const n of order) {
    if (forward.some((e) => e.to === n)) continue;
    const next = forward.filter((e) => e.from === n).map((e) => layer.get(e.to)!);
    if (next.length) layer.set(n, Math.min(...next) - 1); // a source stands beside whom it calls
  }

  const spots = new Map<string, Spot>();
  const rows: Spot[][] = [];
  const put = (s: Spot) => {
    (rows[s.layer] ??= []).push(s);
    return s;
  };
  for (const n of order) spots.set(n, put({ name: n, layer: layer.get(n)!, size: across, pos: 0, before: [], after: [] }));
  const chains = forward.map((e) => {
    const [a, b] = [spots.get(e.from)!, spots.get(e.to)!];
    const chain = [a];
    for (let l = a.layer + 1; l < b.layer; l++) chain.push(put({ name: "", layer: l, size: bend, pos: 0, before: [], after: [] }));
    chain.push(b);
    for (let i = 1; i < chain.length; i++) {
      chain[i - 1]!.after.push(chain[i]!);
      chain[i]!.before.push(chain[i - 1]!);
    }
    return chain;
  });

  for (let l = 0; l < rows.length; l++) rows[l] ??= [];
  const number = () => rows.forEach((row) => row.forEach((s, i) => (s.pos = i)));
  number();
  const mean = (list: Spot[], otherwise: number) => (list.length ? list.reduce((sum, s) => sum + s.pos, 0) / list.length : otherwise);
  let best = rows.map((r) => [...r]);
  let least = crossings(rows);
  for (let sweep = 0; sweep < 16 && least > 0; sweep++) {
    const fromStart = sweep % 2 === 0;
    for (let k = 1; k < rows.length; k++) {
      const l = fromStart ? k : rows.length - 1 - k;
      const key = new Map(rows[l]!.map((s) => [s, mean(fromStart ? s.before : s.after, s.pos)]));
      rows[l]!.sort((a, b) => key.get(a)! - key.get(b)!);
      rows[l]!.forEach((s, i) => (s.pos = i));
    }
    const now = crossings(rows);
    if (now < least) {
      least = now;
      best = rows.map((r) => [...r]);
    }
  }
  best.forEach((r, l) => (rows[l] = r));

  // Places: each wants to be where its neighbours are, those of long edges more than others, and none may overlap.
  for (const row of rows) {
    let x = 0;
    for (const s of row) {
      s.pos = x + s.size / 2;
      x += s.size + gap;
    }
    for (const s of row) s.pos -= (x - gap) / 2;
  }
  for (let sweep = 0; sweep < 24; sweep++) {
    for (let k = 0; k < rows.length; k++) {
      const row = rows[sweep % 2 ? rows.length - 1 - k : k]!;
      const wishes = row.map((s) => {
        let [sum, weight] = [0, 0];
        for (const n of [...s.before, ...s.after]) {
          const w = (s.name ? 1 : 3) * (n.name ? 1 : 3);
          sum += n.pos * w;
          weight += w;
        }
        return weight ? { at: sum / weight, weight } : { at: s.pos, weight: 0.1 };
      });
      apart(row, wishes, gap);
    }
  }
  const low = Math.min(...rows.flat().map((s) => s.pos - s.size / 2));
  const high = Math.max(...rows.flat().map((s) => s.pos + s.size / 2));
  for (const s of rows.flat()) s.pos += margin - low;

  const point = (u: number, v: number) => (down ? { x: v, y: u } : { x: u, y: v });
  const start = (s: Spot) => margin + s.layer * rank;
  const at = new Map([...spots].map(([n, s]) => [n, point(start(s) + along / 2, s.pos)]));

  // Edges leave and reach a node side by side, in the order of where they go.
  const port = (chain: Spot[], end: boolean): number => {
    const s = end ? chain[chain.length - 1]! : chain[0]!;
    const all = chains.filter((c) => (end ? c[c.length - 1] : c[0]) === s).sort((a, b) => (end ? a[a.length - 2]!.pos - b[b.length - 2]!.pos : a[1]!.pos - b[1]!.pos));
    const room = Math.min(s.size - 16, (all.length - 1) * (down ? 14 : 7));
    return s.pos + (all.length > 1 ? (all.indexOf(chain) / (all.length - 1) - 0.5) * room : 0);
  };
  const size = point(margin * 2 + (rows.length - 1) * rank + along, high - low + margin * 2);
  const on = (p: { u: number; v: number; u2: number; v2: number }, t: number) => {
    const ease = t * t * (3 - 2 * t);
    return point(p.u + (p.u2 - p.u) * (1.5 * t * (1 - t) * (1 - t) + 1.5 * t * t * (1 - t) + t * t * t), p.v + (p.v2 - p.v) * ease);
  };
  const drawn = chains.map((chain, i) => {
    const turned = forward[i] !== edges[i];
    let u = start(chain[0]!) + along;
    let v = port(chain, false);
    const parts: { u: number; v: number; u2: number; v2: number }[] = [];
    for (let k = 1; k < chain.length; k++) {
      const s = chain[k]!;
      const v2 = k === chain.length - 1 ? port(chain, true) : s.pos;
      parts.push({ u, v, u2: start(s), v2 });
      u = start(s) + along;
      v = v2;
    }
    const text = (p: { x: number; y: number }) => `${p.x.toFixed(1)} ${p.y.toFixed(1)}`;
    const curve = (p: (typeof parts)[0], rev: boolean) => {
      const m = (p.u + p.u2) / 2;
      return rev ? `C${text(point(m, p.v2))} ${text(point(m, p.v))} ${text(point(p.u, p.v))}` : `C${text(point(m, p.v))} ${text(point(m, p.v2))} ${text(point(p.u2, p.v2))}`;
    };
    let path: string;
    if (turned) {
      const list = [...parts].reverse();
      path = "M" + text(point(list[0]!.u2, list[0]!.v2)) + list.map((p, k) => (k ? "L" + text(point(p.u2, p.v2)) : "") + curve(p, true)).join("");
    } else path = "M" + text(point(parts[0]!.u, parts[0]!.v)) + parts.map((p, k) => (k ? "L" + text(point(p.u, p.v)) : "") + curve(p, false)).join("");
    // Where its number may stand, the best first: at a bend, where the edge is alone, or else on the way, about the middle.
    const spots: Point[] = [];
    const bends = chain.slice(1, -1).map((s) => point(start(s) + along / 2, s.pos));
    spots.push(...bends.sort((a, b) => Math.abs(a.x - size.x / 2) - Math.abs(b.x - size.x / 2)));
    const sided = chain[0]!.after.length >= chain[1]!.before.length ? 1 : -1; // to the end where fewer meet
    for (const t of [0.54, 0.5, 0.6, 0.44, 0.66, 0.38, 0.72, 0.32, 0.78, 0.26, 0.84, 0.2, 0.9, 0.14])
      for (const p of parts) spots.push(on(p, sided > 0 ? t : 1 - t));
    const trail = parts.flatMap((p) => Array.from({ length: 25 }, (_, i) => on(p, i / 24)));
    return { path, spots, trail };
  });
  const labels = settle(drawn, [...at.values()], node);
  return { at, ways: drawn.map((d, i) => ({ path: d.path, label: labels[i]! })), width: size.x, height: size.y };
}

type Point = { x: number; y: number };

const labelWidth = 108;
const labelHeight = 17;

// settle gives each edge's number the first of its spots where it lies over no node and no other number, and over as few other edges as can be.
function settle(edges: { spots: Point[]; trail: Point[] }[], nodes: Point[], node: { width: number; height: number }): Point[] {
  const over = (a: Point, b: Point, width: number, height: number) => Math.max(0, width - Math.abs(a.x - b.x)) * Math.max(0, height - Math.abs(a.y - b.y));
  const chosen: (Point | undefined)[] = edges.map(() => undefined);
  // Who can step aside least goes first.
  const room = edges.map(({ spots }) => Math.max(...spots.map((s) => s.y)) - Math.min(...spots.map((s) => s.y)));
  const order = edges.map((_, i) => i).sort((a, b) => room[a]! - room[b]! || a - b);
  for (const i of order) {
    let least = Infinity;
    edges[i]!.spots.forEach((s, n) => {
      let cost = n * 4;
      for (const c of chosen) if (c) cost += over(s, c, labelWidth, labelHeight) * 10;
      for (const m of nodes) cost += over(s, m, (labelWidth + node.width) / 2 - 4, (labelHeight + node.height) / 2 + 2) * 10;
      for (let k = 0; k < edges.length && cost < least; k++) if (k !== i) for (const t of edges[k]!.trail) if (Math.abs(t.x - s.x) < labelWidth / 2 && Math.abs(t.y - s.y) < labelHeight / 2) cost += 5;
      if (cost < least) [least, chosen[i]] = [cost, s];
    });
  }
  return chosen as Point[];
}

function crossings(rows: Spot[][]): number {
  let n = 0;
  for (let l = 0; l + 1 < rows.length; l++) {
    const ends = rows[l]!.flatMap((s) => s.after.map((t) => [s.pos, t.pos] as const));
    for (let i = 0; i < ends.length; i++)
      for (let j = i + 1; j < ends.length; j++) if ((ends[i]![0] - ends[j]![0]) * (ends[i]![1] - ends[j]![1]) < 0) n++;
  }
  return n;
}

// apart gives each spot of a row the place nearest to its wish at which none overlap: isotonic regression of the wishes, less the room
// that those before take.
function apart(row: Spot[], wishes: { at: number; weight: number }[], gap: number): void {
  const room: number[] = [];
  let x = 0;
  row.forEach((s, i) => {
    if (i) x += (row[i - 1]!.size + s.size) / 2 + (s.name || row[i - 1]!.name ? gap : gap / 2);
    room.push(x);
  });
  const blocks: { sum: number; weight: number; count: number }[] = [];
  wishes.forEach((w, i) => {
    blocks.push({ sum: (w.at - room[i]!) * w.weight, weight: w.weight, count: 1 });
    for (;;) {
      const b = blocks[blocks.length - 1]!;
      const a = blocks[blocks.length - 2];
      if (!a || a.sum / a.weight <= b.sum / b.weight) break;
      blocks.splice(-2, 2, { sum: a.sum + b.sum, weight: a.weight + b.weight, count: a.count + b.count });
    }
  });
  let i = 0;
  for (const b of blocks) for (let k = 0; k < b.count; k++, i++) row[i]!.pos = b.sum / b.weight + room[i]!;
}
