// All pages, in the order of the navigation. The first whose path fits is shown.
import { console } from "./console/console";
import { events } from "./events/events";
import { logs } from "./logs/logs";
import { metrics } from "./metrics/metrics";
import { overview } from "./overview/overview";
import { service } from "./service/service";
import type { Page } from "./shell/page";
import { store } from "./store/store";
import { trace } from "./traces/trace";
import { traces } from "./traces/traces";

export const pages: Page[] = [overview, service, traces, trace, logs, metrics, console, events, store];
