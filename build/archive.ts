// A tree as a .tar.gz: the same bytes for the same tree, wherever one version of Node makes it, so that its checksum
// can be written down.
import { gzipSync } from 'node:zlib';
import { MeshError } from '../src/base/errors.ts';
import { sourceDateEpoch, type Tree } from './tree.ts';

const block = 512;
const nameMax = 100;
const prefixMax = 155;
const checksumAt = 148;

/** POSIX ustar, packed with gzip; every file belongs to root and bears one time. Throws INTERNAL for a long name. */
export function archiveOf(tree: Tree): Buffer {
  const parts: Buffer[] = [];
  for (const name of [...tree.keys()].sort()) {
    const { bytes, isProgram = false } = tree.get(name)!;
    const content = Buffer.from(bytes);
    parts.push(headerOf(name, content.length, isProgram ? 0o755 : 0o644), content, padding(content.length));
  }
  parts.push(Buffer.alloc(2 * block));
  const packed = gzipSync(Buffer.concat(parts), { level: 9 });
  // The operating system that packed it, which says nothing.
  packed[9] = 255;
  return packed;
}

function headerOf(file: string, size: number, mode: number): Buffer {
  const header = Buffer.alloc(block);
  const [prefix, name] = splitName(file);
  const octal = (value: number, at: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'ascii');
  };
  header.write(name, 0, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(sourceDateEpoch, 136, 12);
  header.write(' '.repeat(8), checksumAt, 'ascii');
  header.write('0', 156, 'ascii');
  header.write('ustar\u000000', 257, 'ascii');
  header.write('root', 265, 'ascii');
  header.write('root', 297, 'ascii');
  header.write(prefix, 345, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, checksumAt, 'ascii');
  return header;
}

/** A name that is too long is divided at a slash. */
function splitName(file: string): [prefix: string, name: string] {
  if (Buffer.byteLength(file) <= nameMax) return ['', file];
  for (let at = file.indexOf('/'); at >= 0; at = file.indexOf('/', at + 1)) {
    const [prefix, name] = [file.slice(0, at), file.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= prefixMax && Buffer.byteLength(name) <= nameMax) return [prefix, name];
  }
  throw new MeshError('INTERNAL', { reason: `${file} is too long a name for an archive` });
}

function padding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}
