// Runs before the page is painted, so that it does not flash in the other theme.
try {
  const theme = localStorage.getItem("hanse-docs-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be denied; then the system's theme it is.
}
