// `npm run image -- DIR`: the root file system of the image, into a folder; as root, on Debian or Ubuntu.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { messageOf } from '../src/base/errors.ts';
import { buildPackage } from './package.ts';
import { makeRootfs } from './rootfs.ts';

const usage = 'usage: npm run image -- DIR\n';

/** Megabytes of a part, as `du` counts files. */
function sizeOf(...parts: string[]): string {
  const { stdout } = spawnSync('du', ['--apparent-size', '--block-size=1000', '-s', ...parts], { encoding: 'utf8' });
  const kilobytes = stdout.split('\n').reduce((sum, line) => sum + (Number.parseInt(line, 10) || 0), 0);
  return `${(kilobytes / 1_000).toFixed(1)} MB`;
}

try {
  const [root = '', ...rest] = process.argv.slice(2);
  if (root === '' || root === '/' || root.startsWith('-') || rest.length > 0) {
    process.stderr.write(usage);
    process.exit(2);
  }
  makeRootfs(root, await buildPackage());
  const node = sizeOf(path.join(root, 'usr/bin/node'));
  const own = sizeOf(path.join(root, 'usr/lib/ambient'));
  process.stdout.write(`${root}: ${sizeOf(root)}, of which Node ${node} and Ambient ${own}\n`);
} catch (error) {
  process.stderr.write(`image: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
