// What could be run together, and what calls too much: a quiet mark on the map, which opens to what would be saved.
import { Button, Command } from "../shell/controls";
import { duration, percent } from "../shell/format";
import { Icon } from "../shell/icons";
import { param, setParams } from "../shell/router";
import { services } from "../shell/system";
import type { Link } from "./graph";

/** Finding is one of /api/advice. */
export interface Finding {
  kind: string;
  title: string;
  advice: string;
  services: string[];
  path: string[]; // caller first
  operation: string;
  method?: string;
  requests: number;
  calls: number;
  saving: { time: number; share: number; cpu: { busy: number; idle: number } };
  flag?: string;
  why?: string;
  traces: string[] | null;
}

/** id names a finding in the address, the same as long as it is found. */
const id = (f: Finding): string => [f.kind, ...f.path, f.method].filter(Boolean).join(" ");

/** off: the reader wants no notes. */
export const dismissed = (): boolean => param("advice") === "off";

/** Mark is the note on an edge of the map: on the first pair of what was found. */
export function Mark({ link, findings }: { link: Link; findings: Finding[] }) {
  const own = link.dashed || dismissed() ? [] : findings.filter((f) => f.path[0] === link.from && f.path[1] === link.to);
  const first = own[0];
  if (!first) return null;
  const open = own.some((f) => id(f) === param("advice"));
  const brief = first.kind === "cycle" ? "circle" : first.kind === "chain" ? "chain" : `${Math.round(first.calls)} calls each`;
  return (
    <button
      type="button"
      class="map-mark"
      style={{ transform: `translate(${link.label.x}px, ${link.label.y}px) translate(-50%, -27px)` }}
      aria-expanded={open}
      aria-label={`${brief}, note on ${link.from} to ${link.to}: ${first.title}`}
      title={first.title}
      onClick={() => setParams({ advice: open ? "" : id(first) })}
    >
      <Icon name="note" size={12} /> {brief}
    </button>
  );
}

/** Advice is what stands below the map: how much was found, and what is chosen of it. */
export function Advice({ findings }: { findings: Finding[] }) {
  if (!findings.length || dismissed()) return null;
  const f = findings.find((f) => id(f) === param("advice"));
  if (!f)
    return (
      <p class="note map-note advice-line">
        <Icon name="note" size={14} />
        <button type="button" class="text-link" onClick={() => setParams({ advice: id(findings[0]!) })}>
          {findings.length === 1 ? findings[0]!.title : `${findings.length} notes on how services call each other`}
        </button>
        <span class="grow" />
        <Button small tone="ghost" icon="close" label="no notes on the map" onClick={() => setParams({ advice: "off" })} />
      </p>
    );
  const at = findings.indexOf(f);
  const trace = f.traces?.[0];
  return (
    <section class="advice" aria-label="note">
      <header>
        <Icon name="note" size={14} />
        <strong>{f.title}</strong>
        <span class="grow" />
        {findings.length > 1 && (
          <Button small onClick={() => setParams({ advice: id(findings[(at + 1) % findings.length]!) })}>
            {at + 1} of {findings.length}, next
          </Button>
        )}
        <Button small tone="ghost" icon="close" label="close the note" onClick={() => setParams({ advice: "" })} />
      </header>
      <p>
        {f.advice[0]!.toUpperCase() + f.advice.slice(1)}.{" "}
        {trace && <a href={"/traces/" + trace}>An example</a>}
      </p>
      {f.flag ? (
        <>
          <p>
            In one process a request would save <b>{duration(f.saving.time)}</b> ({percent(f.saving.share)} of it) and {duration(f.saving.cpu.busy)} to {duration(f.saving.cpu.idle)} of CPU:
          </p>
          <Command line={together(f)} />
        </>
      ) : (
        f.why && <p>They cannot be put into one process by a flag: {f.why}.</p>
      )}
    </section>
  );
}

/** together is the line that starts the services in one process, when one program has them all. */
function together(f: Finding): string {
  const programs = new Set(f.services.map((s) => services.value.find((r) => r.name === s)?.program ?? ""));
  const [program] = programs;
  return programs.size === 1 && program ? `go run ${program} ${f.flag}` : f.flag!;
}
