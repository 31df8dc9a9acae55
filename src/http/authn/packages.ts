// Packages that only tokens need, loaded when the first one comes: 16 MB (jose) and 28 MB (undici) of every data thread
// whose services have no RequestAuthentication.
import { createRequire } from 'node:module';

type Jose = typeof import('jose');
type Undici = typeof import('undici');

let loadedJose: Jose | null = null;
let loadedUndici: Undici | null = null;

/** Loads jose, at once. */
export function jose(): Jose {
  loadedJose ??= createRequire(import.meta.url)('jose') as Jose;
  return loadedJose;
}

/** Loads undici, at once. */
export function undici(): Undici {
  loadedUndici ??= createRequire(import.meta.url)('undici') as Undici;
  return loadedUndici;
}
