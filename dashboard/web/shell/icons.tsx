// Icons are strokes on a grid of 16.
import type { ComponentChildren } from "preact";

const shapes = {
  overview: "M3 3.500h4v3H3zM9.500 9.500h4v3h-4zM9.500 2.500h4v3h-4zM7 5h2.500M5 6.500v3.250A1.250 1.250 0 0 0 6.250 11H9.500",
  service: "M8 1.800 13.500 5v6L8 14.200 2.500 11V5zM2.700 5.100 8 8.200l5.300-3.100M8 8.200v5.800",
  traces: "M2.500 4h6M5.500 8h7M8.500 12h5",
  logs: "M3 3.500h10M3 6.500h7M3 9.500h10M3 12.500h5",
  metrics: "M2.500 13.500h11M4 11V7.500M7 11V3M10 11V6M13 11V4.500",
  console: "M2.500 4.500 6 8l-3.500 3.500M8 12h5.500",
  events: "M8 8.500a.500.500 0 1 0 0-1 .500.500 0 0 0 0 1M5.200 10.800a4 4 0 0 1 0-5.600M10.800 5.200a4 4 0 0 1 0 5.600M3.200 12.800a6.800 6.800 0 0 1 0-9.600M12.800 3.200a6.800 6.800 0 0 1 0 9.600",
  store: "M8 6.500c3 0 5-.900 5-2.200S11 2 8 2 3 2.900 3 4.300s2 2.200 5 2.200M3 4.300v7.400C3 13 5 14 8 14s5-1 5-2.300V4.300M3 8c0 1.300 2 2.300 5 2.300S13 9.300 13 8",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9M10.300 10.300 13.500 13.500",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  play: "M5 3.200v9.600L12.500 8z",
  stop: "M4 4h8v8H4z",
  restart: "M13 8a5 5 0 1 1-1.500-3.550L13 6M13 2.500V6H9.500",
  sun: "M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600M8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.900.900M11.700 11.700l.900.900M3.400 12.600l.900-.900M11.700 4.300l.900-.900",
  moon: "M13.300 9.500A5.700 5.700 0 0 1 6.500 2.700a5.700 5.700 0 1 0 6.800 6.800",
  auto: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 2v12M8 5h4.500M8 8h6M8 11h4.500",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M6.300 6.300a1.800 1.800 0 1 1 2.600 1.600c-.600.300-.900.600-.900 1.300M8 11.300v.100",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  close: "m4 4 8 8M12 4l-8 8",
  right: "m6 3.500 4.500 4.500L6 12.500",
  left: "M10 3.500 5.500 8l4.500 4.500",
  down: "m3.500 6 4.500 4.500L12.500 6",
  up: "M3.500 10 8 5.500l4.500 4.500",
  warn: "M8 2.300 14.300 13H1.700zM8 6.500v3M8 11.300v.100",
  bad: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 5v3.800M8 11v.100",
  good: "m3 8.500 3.200 3.200L13 5",
  note: "M6 11.500h4M6.500 13.500h3M8 2a4 4 0 0 0-2.300 7.300c.4.300.6.700.6 1.200h3.400c0-.500.2-.900.6-1.200A4 4 0 0 0 8 2",
  link: "M6.800 9.200 13 3M9 3h4v4M11.500 9v3.500a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1H7",
  copy: "M5.500 5.500h7a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1M2.500 10.500v-7a1 1 0 0 1 1-1h7",
  filter: "M2 3.500h12L9.500 8.800v4.400l-3-1.500V8.800z",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fit: "M2.500 6V3.500a1 1 0 0 1 1-1H6M10 2.500h2.500a1 1 0 0 1 1 1V6M13.500 10v2.500a1 1 0 0 1-1 1H10M6 13.500H3.500a1 1 0 0 1-1-1V10",
  list: "M5.500 4h8M5.500 8h8M5.500 12h8M2.500 4v.100M2.500 8v.100M2.500 12v.100",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.800V8l2.300 1.500",
  key: "M9.800 9.500a3.700 3.700 0 1 0-3-3L2 11.300V14h2.700v-1.700h1.700v-1.700zM11 5v.100",
  send: "M14 2 7 9M14 2 9.500 14 7 9 2 6.500z",
  trash: "M2.500 4h11M6 4V2.500h4V4M4 4l.600 9.500h6.800L12 4M6.700 6.800v4M9.300 6.800v4",
};

export type IconName = keyof typeof shapes;

/** Icon is for the eye only: what it means stands beside it, or in the label of its button. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[name]} />
    </svg>
  );
}

/** Mark is the sign of Hanse, a cog under sail. */
export function Mark({ children }: { children?: ComponentChildren }) {
  return (
    <span class="mark">
      <svg width="24" height="24" viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" class="mark-ground" />
        <path class="mark-sign" d="M6 20h20l-3.200 5.400a2 2 0 0 1-1.700 1H10.900a2 2 0 0 1-1.700-1zM15 5v12.500H7.500zM17.500 8v9.500h6z" />
      </svg>
      {children}
    </span>
  );
}
