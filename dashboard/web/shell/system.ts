// What runs, as all pages need it: the services, their instances, and what can be done to them.
import { computed, signal } from "@preact/signals";
import { APIError, get } from "./api";
import { changed } from "./live";
import type { Tone } from "./controls";

/** System is what /api/system tells. */
export interface System {
  name: string;
  dir?: string;
  kind: string; // "dev" or "registry"
  gateway?: string; // host:port where all services can be called without a certificate
  read_only: boolean;
  production: boolean;
  telemetry?: string; // URL to which programs have to be told to send theirs, where nobody does it for them
  ready: boolean;
  services: Service[];
  problems?: string[];
  pages: string[]; // that have something behind them on the server
}

export interface Service {
  name: string;
  program?: string;
  url?: string; // of its pages
  want: number;
  on_demand?: boolean;
  actions?: Action[];
  instances: Instance[];
}

export type Action = "start" | "stop" | "restart" | "scale";

export interface Instance {
  id: string;
  state: "starting" | "ready" | "draining" | "failed";
  version?: string;
  pid?: number;
  host?: string;
  zone?: string;
  endpoints?: string[];
  admin?: string;
  contracts?: string[];
  command?: string; // of a program that is no Hanse program
  replica?: number;
  started?: string;
  restarts?: number;
  reason?: string; // why it failed
  last?: string[]; // its last lines then
  failing?: Check[]; // what it says is not well with it
}

/** Check is a condition that an instance does not meet. */
export interface Check {
  name: string;
  reason: string;
  warning?: boolean; // it takes calls nevertheless
}

/** system is what runs, or undefined before the first answer. */
export const system = signal<System | undefined>(undefined);
/** systemError is why the last answer did not come. */
export const systemError = signal<APIError | undefined>(undefined);

export const services = computed(() => system.value?.services ?? []);

/** health is how a service does, by its instances; brief is the text without the reason. */
export function health(s: Service): { tone: Tone; text: string; brief?: string } {
  const failed = s.instances.find((i) => i.state === "failed");
  if (failed) return { tone: "bad", text: failed.reason ? `failed: ${failed.reason}` : "failed" };
  const ready = s.instances.filter((i) => i.state === "ready").length;
  if (s.instances.length === 0) return { tone: "quiet", text: s.on_demand ? "starts on demand" : "not running" };
  const unwell = s.instances.flatMap((i) => i.failing ?? []).find((c) => !c.warning);
  if (unwell) {
    const count = s.instances.filter((i) => i.failing?.some((c) => !c.warning)).length;
    const brief = count < s.instances.length ? `${count} of ${s.instances.length} not ready` : "not ready";
    return { tone: count < s.instances.length ? "warn" : "bad", text: `${brief}: ${unwell.name}: ${unwell.reason}`, brief };
  }
  if (ready < Math.max(s.want, 1)) return { tone: "warn", text: ready === 0 ? s.instances[0]!.state : `${ready} of ${s.want} ready` };
  const brief = ready === 1 ? "ready" : `${ready} ready`;
  const warning = s.instances.flatMap((i) => i.failing ?? [])[0];
  if (warning) return { tone: "warn", text: `${brief}: ${warning.name}: ${warning.reason}`, brief };
  return { tone: "good", text: brief };
}

let asking = false;
let again = false;

/** refreshSystem asks again. */
export async function refreshSystem(): Promise<void> {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    system.value = await get<System>("system");
    systemError.value = undefined;
  } catch (e) {
    systemError.value = e instanceof APIError ? e : new APIError(String(e), "", 0);
  } finally {
    asking = false;
    if (again) {
      again = false;
      void refreshSystem();
    }
  }
}

changed("system", () => void refreshSystem());
