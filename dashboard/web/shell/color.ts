// Colours that mean something: each service has one, the same on all pages and in each run, for it follows from the name.

/** hue is the hue of a service. */
export function hue(name: string): number {
  let h = 2166136261;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
  h ^= h >>> 15;
  return (50 + ((h >>> 0) % 54) * 6) % 360; // of OKLCH, without the red of errors
}

/** tint is a style that makes the classes .tint, .tint-fill and .tint-soft take the colour of a service. */
export function tint(name: string): Record<string, string> {
  return { "--hue": String(hue(name)) };
}

/** color is the colour of a service, or of a CSS variable such as --accent, as a canvas wants it. It depends on the theme. */
export function color(nameOrVar: string, alpha = 1): string {
  const css = getComputedStyle(document.documentElement);
  if (nameOrVar.startsWith("--")) {
    const c = css.getPropertyValue(nameOrVar).trim();
    return alpha === 1 ? c : `color-mix(in srgb, ${c} ${alpha * 100}%, transparent)`;
  }
  return `oklch(${css.getPropertyValue("--tint-l").trim()} ${css.getPropertyValue("--tint-c").trim()} ${hue(nameOrVar)} / ${alpha})`;
}
