// `npm run build [-- DIR]`: the package and its source maps, into dist/ or another folder.
import path from 'node:path';
import { messageOf } from '../src/base/errors.ts';
import { projectRoot } from '../src/base/project-files.ts';
import { buildPackage } from './package.ts';
import { type Tree, writeTree } from './tree.ts';

const kilobyte = 1024;

function sizeOf(tree: Tree): string {
  const bytes = [...tree.values()].reduce((sum, file) => sum + Buffer.byteLength(file.bytes), 0);
  return `${tree.size} files, ${Math.round(bytes / kilobyte)} KB`;
}

try {
  const out = path.resolve(process.argv[2] ?? path.join(projectRoot, 'dist'));
  const { tree, maps, components } = await buildPackage();
  writeTree(path.join(out, 'package'), tree);
  writeTree(path.join(out, 'maps'), maps);
  process.stdout.write(
    `${path.join(out, 'package')}: ${sizeOf(tree)}, with code of ${components.length} packages\n` +
      `${path.join(out, 'maps')}: ${sizeOf(maps)}\n`,
  );
} catch (error) {
  process.stderr.write(`build: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
