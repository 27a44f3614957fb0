// Runs before the page is drawn, so that it does not flash in the wrong theme. Not a module, for the same reason.
(() => {
  const next = { auto: 'light', light: 'dark', dark: 'auto' };
  const names = { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' };
  const icons = { auto: '◐', light: '☀', dark: '☾' };
  let theme = 'auto';
  try { theme = localStorage.getItem('bit.theme') || 'auto'; } catch { /* storage is off: the system's theme */ }
  if (!next[theme]) theme = 'auto';
  const apply = () => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById('theme');
    if (!button) return;
    button.textContent = icons[theme];
    button.title = names[theme];
    button.setAttribute('aria-label', names[theme]);
  };
  apply();
  document.addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', () => {
      theme = next[theme];
      try { localStorage.setItem('bit.theme', theme); } catch { /* for this time only */ }
      apply();
    });
  });
})();
