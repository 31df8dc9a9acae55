// Where the files of Ambient lie, for the sources and for the bundle that `npm run build` makes of them: the bundle has
// the same folders under its own root, and modules in JavaScript. The one file that asks where it is itself.
import { existsSync } from 'node:fs';
import path from 'node:path';

/** True in a bundle: modules are JavaScript, and there is no TypeScript to strip. */
export const isBundled = import.meta.filename.endsWith('.js');

/** The folder of package.json: the checkout, or the bundle's own. */
export const projectRoot = findRoot(import.meta.dirname);

/** Absolute path of a file that is kept as it is, by its path from the root. */
export function projectFile(file: string): string {
  return path.join(projectRoot, file);
}

/**
 * Absolute path of a module that is run or loaded by its name, by its path among the sources (`src/lab/main.ts`). The
 * build finds these words in the sources, and makes an entry file of each.
 */
export function modulePath(source: string): string {
  return projectFile(isBundled ? source.replace(/\.ts$/, '.js') : source);
}

function findRoot(folder: string): string {
  const above = path.dirname(folder);
  return above === folder || existsSync(path.join(folder, 'package.json')) ? folder : findRoot(above);
}
