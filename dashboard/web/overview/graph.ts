// What the map shows, and where: the edges of the collector become a graph with places that stay.
import type { Service } from "../shell/system";
import { layers } from "./layers";
import type { CallMap, Edge, Node, Numbers } from "../shell/types";

export interface Place extends Node {
  x: number; // of the middle
  y: number;
  running?: Service;
}

export interface Link extends Numbers {
  id: string;
  from: string;
  to: string;
  dashed: boolean; // an event
  topics: string[];
  stale: boolean; // seen before, and not in the window
  path: string;
  label: { x: number; y: number };
}

export interface Picture {
  width: number;
  height: number;
  places: Place[];
  links: Link[];
}

export const nodeWidth = 176;
export const nodeHeight = 54;

const none: Numbers = { calls: 0, errors: 0, p50: 0, p95: 0, p99: 0 };

/** Graph remembers what was seen, so that a quiet edge keeps its place, and where things are. */
export class Graph {
  private nodes = new Map<string, Node>();
  private edges = new Map<string, Edge>();
  private laid = "";
  private picture: Picture = { width: 0, height: 0, places: [], links: [] };

  /** draw makes the picture of a map. Places change only when there is something else to be placed. */
  draw(map: CallMap, services: Service[], infrastructure: boolean, down: boolean): Picture {
    for (const n of map.nodes) this.nodes.set(n.name, n);
    for (const s of services) if (!this.nodes.has(s.name)) this.nodes.set(s.name, { ...none, name: s.name, kind: "service", instances: 0 });
    const now = new Map(map.edges.map((e) => [`${e.from}\n${e.to}\n${e.kind}`, e]));
    for (const [id, e] of now) this.edges.set(id, e);

    const current = new Set(map.nodes.map((n) => n.name));
    const running = new Map(services.map((s) => [s.name, s]));
    const shown = [...this.nodes.values()]
      .filter((n) => infrastructure || n.kind === "service" || running.has(n.name))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const names = new Set(shown.map((n) => n.name));
    const links = new Map<string, Link>();
    const sum = (a: number | undefined, b: number | undefined) => (a ?? 0) + (b ?? 0);
    const add = (from: string, to: string, e: Edge, stale: boolean, topic?: string) => {
      if (!names.has(from) || !names.has(to) || from === to) return;
      const dashed = e.kind === "event";
      const id = `${from}\n${to}\n${dashed}`;
      const l = links.get(id);
      const n = stale ? none : e;
      if (!l) links.set(id, { id, from, to, dashed, topics: topic ? [topic] : [], stale, path: "", label: { x: 0, y: 0 }, calls: n.calls, errors: n.errors, client_errors: n.client_errors, streams: n.streams, open: n.open, p50: n.p50, p95: n.p95, p99: n.p99 });
      else {
        l.calls += n.calls;
        l.errors += n.errors;
        l.client_errors = sum(l.client_errors, n.client_errors);
        l.streams = sum(l.streams, n.streams);
        l.open = sum(l.open, n.open);
        l.p50 = Math.max(l.p50, n.p50);
        l.p95 = Math.max(l.p95, n.p95);
        l.p99 = Math.max(l.p99, n.p99);
        l.stale &&= stale;
        if (topic && !l.topics.includes(topic)) l.topics.push(topic);
      }
    };
    for (const [id, e] of this.edges) {
      const stale = !now.has(id);
      if (infrastructure || e.kind !== "event" || (names.has(e.from) && names.has(e.to))) {
        add(e.from, e.to, now.get(id) ?? e, stale);
        continue;
      }
      // A topic that is hidden becomes the name of an edge from who publishes to who handles.
      if (names.has(e.from)) continue;
      for (const p of this.edges.values()) {
        if (p.kind === "event" && p.to === e.from) add(p.from, e.to, now.get(id) ?? e, stale, e.from);
      }
    }
    const list = [...links.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const shape = JSON.stringify([down, shown.map((n) => n.name), list.map((l) => l.id)]);
    const places: Place[] = shown.map((n) => ({ ...n, ...(current.has(n.name) ? {} : none), x: 0, y: 0, running: running.get(n.name) }));
    if (shape !== this.laid) {
      this.laid = shape;
      this.picture = layout(places, list, down);
      return this.picture;
    }
    const at = new Map(this.picture.places.map((p) => [p.name, p]));
    const way = new Map(this.picture.links.map((l) => [l.id, l]));
    this.picture = {
      ...this.picture,
      places: places.map((p) => ({ ...p, x: at.get(p.name)!.x, y: at.get(p.name)!.y })),
      links: list.map((l) => ({ ...l, path: way.get(l.id)!.path, label: way.get(l.id)!.label })),
    };
    return this.picture;
  }
}

function layout(places: Place[], links: Link[], down: boolean): Picture {
  const linked = new Set(links.flatMap((l) => [l.from, l.to]));
  const laid = layers([...linked].sort(), links, { width: nodeWidth, height: nodeHeight }, down, places.length > 24);
  let { width, height } = linked.size ? laid : { width: 0, height: 0 };
  for (const p of places) Object.assign(p, laid.at.get(p.name));
  links.forEach((l, i) => Object.assign(l, laid.ways[i]));
  // What neither calls nor is called stands below, in rows.
  const alone = places.filter((p) => !linked.has(p.name));
  const gap = 18;
  const columns = Math.max(1, Math.floor(((width || (down ? 2 : 5) * (nodeWidth + gap)) - 16) / (nodeWidth + gap)));
  const top = height ? height + 14 : 16;
  alone.forEach((p, i) => {
    p.x = 16 + nodeWidth / 2 + (i % columns) * (nodeWidth + gap);
    p.y = top + nodeHeight / 2 + Math.floor(i / columns) * (nodeHeight + gap);
    width = Math.max(width, p.x + nodeWidth / 2 + 16);
    height = Math.max(height, p.y + nodeHeight / 2 + 16);
  });
  return { width, height, places, links };
}
