// Light, dark, or as the system has it; kept in this browser.

export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const key = 'ambient-theme';

/** The theme that was chosen here before. */
export function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(key);
    return themes.find((theme) => theme === stored) ?? 'auto';
  } catch {
    return 'auto'; // a browser that keeps nothing
  }
}

/** Shows a theme and keeps it. */
export function applyTheme(theme: Theme): void {
  const { dataset } = document.documentElement;
  if (theme === 'auto') delete dataset['theme'];
  else dataset['theme'] = theme;
  try {
    localStorage.setItem(key, theme);
  } catch {
    // It is shown all the same.
  }
  dispatchEvent(new Event(themeChanged));
}

/** An event of the window: colours have to be read again by whoever paints them. */
export const themeChanged = 'ambient-theme-changed';

/** Calls `paint` whenever colours change, by choice or by the system. */
export function onColours(paint: () => void): void {
  addEventListener(themeChanged, paint);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
}

/** A colour of the style sheet as a canvas takes it. */
export function colourOf(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
