// Dark, light, or what the operating system says.
import { computed, effect, signal } from "@preact/signals";

export type Theme = "auto" | "dark" | "light";

const key = "hanse-theme";
const system = matchMedia("(prefers-color-scheme: light)");
const systemLight = signal(system.matches);
system.addEventListener("change", () => (systemLight.value = system.matches));

function stored(): Theme {
  const t = localStorage.getItem(key);
  return t === "dark" || t === "light" ? t : "auto";
}

/** theme is what the reader chose. */
export const theme = signal<Theme>(stored());
/** light: the page is light now. What draws on a canvas draws again when it changes. */
export const light = computed(() => (theme.value === "auto" ? systemLight.value : theme.value === "light"));

effect(() => {
  localStorage.setItem(key, theme.value);
  document.documentElement.dataset.theme = light.value ? "light" : "dark";
});
