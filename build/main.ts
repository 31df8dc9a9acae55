// `npm run build [-- DIR] [--release-url URL]`: the package, its source maps, and the plugin for krew, into dist/ or
// another folder.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../src/base/errors.ts';
import { projectRoot } from '../src/base/project-files.ts';
import { krewTree, releaseUrl } from './krew.ts';
import { buildPackage } from './package.ts';
import { type Tree, writeTree } from './tree.ts';

const kilobyte = 1024;

function sizeOf(tree: Tree): string {
  const bytes = [...tree.values()].reduce((sum, file) => sum + Buffer.byteLength(file.bytes), 0);
  return `${tree.size} files, ${Math.round(bytes / kilobyte)} KB`;
}

try {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { 'release-url': { type: 'string', default: releaseUrl } },
  });
  const out = path.resolve(positionals[0] ?? path.join(projectRoot, 'dist'));
  const { tree, maps, main, components } = await buildPackage();
  const krew = krewTree(tree, main, values['release-url']);
  writeTree(path.join(out, 'package'), tree);
  writeTree(path.join(out, 'maps'), maps);
  writeTree(path.join(out, 'krew'), krew);
  process.stdout.write(
    `${path.join(out, 'package')}: ${sizeOf(tree)}, with code of ${components.length} packages\n` +
      `${path.join(out, 'maps')}: ${sizeOf(maps)}\n` +
      `${path.join(out, 'krew')}: ${sizeOf(krew)}\n`,
  );
} catch (error) {
  process.stderr.write(`build: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
