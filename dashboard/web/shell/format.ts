// How numbers and times are written. Durations of the API are nanoseconds.

const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** duration writes nanoseconds: 840 ns, 12.3 µs, 4.56 ms, 1.20 s, 2 m 5 s, 3 h 12 m. */
export function duration(ns: number | undefined): string {
  if (ns === undefined || !Number.isFinite(ns)) return "–";
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 999.5e3) return `${digits(ns / 1e3)} µs`;
  if (ns < 999.5e6) return `${digits(ns / 1e6)} ms`;
  if (ns < 59.95e9) return `${digits(ns / 1e9)} s`;
  const s = Math.round(ns / 1e9);
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** digits writes a number with three digits that count. */
export function digits(v: number): string {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a >= 100) return counts.format(v);
  if (a >= 10) return v.toFixed(1);
  if (a >= 0.01) return v.toFixed(2);
  return v.toPrecision(2);
}

/** count writes how many: 950, 12.4k, 3.1M. */
export function count(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return "–";
  const a = Math.abs(n);
  if (a < 10000) return counts.format(n);
  if (a < 1e6) return `${digits(n / 1e3)}k`;
  if (a < 1e9) return `${digits(n / 1e6)}M`;
  return `${digits(n / 1e9)}G`;
}

/** rate writes how many in a second. */
export function rate(perSecond: number | undefined): string {
  if (perSecond === undefined || !Number.isFinite(perSecond)) return "–";
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.1) return `${digits(perSecond * 60)}/min`;
  return `${perSecond < 1000 ? digits(perSecond) : count(perSecond)}/s`;
}

/** percent writes a share of 1. */
export function percent(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return "–";
  if (share === 0) return "0 %";
  const p = share * 100;
  return p < 0.1 ? "< 0.1 %" : `${p < 10 ? p.toFixed(1) : p.toFixed(0)} %`;
}

/** bytes writes a size: 512 B, 4.0 KiB, 12.5 MiB. */
export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return "–";
  if (n < 1024) return `${n} B`;
  let v = n;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    v /= 1024;
    if (v < 1024 || unit === "GiB") return `${v < 10 ? v.toFixed(1) : counts.format(v)} ${unit}`;
  }
  return "";
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

/** clock writes the time of day, to the millisecond. */
export function clock(at: string | number | Date, millis = true): string {
  const d = new Date(at);
  const t = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return millis ? `${t}.${String(d.getMilliseconds()).padStart(3, "0")}` : t;
}

/** moment writes date and time of day, without the date if it is today. */
export function moment(at: string | number | Date): string {
  const d = new Date(at);
  if (d.toDateString() === new Date().toDateString()) return clock(d);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d, false)}`;
}

/** ago writes how long something is past: just now, 12 s ago, 3 h ago. */
export function ago(at: string | number | Date, now = Date.now()): string {
  const s = Math.round((now - new Date(at).getTime()) / 1000);
  if (s < 2) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

/** plural writes a number with its noun. */
export function plural(n: number, one: string, many = one + "s"): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** short is the last part of a method: pkg.Service/Method becomes Service/Method. */
export function short(method: string): string {
  const m = method.replace(/^\//, "");
  const slash = m.indexOf("/");
  return slash < 0 ? m : m.slice(m.lastIndexOf(".", slash) + 1);
}
