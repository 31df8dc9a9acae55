// The image's root file system: Debian packages unpacked, never installed (no script of theirs runs, and nothing that
// installs them is in it), Node, and our package. The same bytes from the same packages.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureTools } from '../native-free/tools.ts';
import { MeshError } from '../src/base/errors.ts';
import { projectFile } from '../src/base/project-files.ts';
import { packagesIn, readPackageList, recordsDir } from './debian-packages.ts';
import { type BuiltPackage, sbomFile } from './package.ts';
import { type Component, npmUrl, sbomText } from './sbom.ts';
import { setTimes, writeTree } from './tree.ts';

/** Who the controller and the waypoint are, and the image unless told otherwise; nobody's on every common system. */
export const imageUserId = 65_532;
const home = 'usr/lib/ambient';
const unpackTimeoutMs = 240_000;
/** No coreutils, hence no env; and nobody reads of what Node calls experimental. */
const shebang = '#!/usr/bin/node --disable-warning=ExperimentalWarning';
/** For people, for other languages, for systems that start services, and what unpacking has left. */
const unneeded = [
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/bash-completion',
  'usr/share/bug',
  'usr/share/debconf',
  'usr/share/doc-base',
  'usr/share/menu',
  'usr/share/pixmaps',
  'usr/share/initramfs-tools',
  'usr/lib/systemd',
  'etc/apt',
  'etc/cron.daily',
  'etc/cron.weekly',
  'etc/init.d',
  'etc/logrotate.d',
  'var/cache',
  'var/lib/apt',
  'var/log',
  'dev',
] as const;
/** Where a container runtime mounts, and what programs expect to be there. */
const folders = ['dev', 'proc', 'sys', 'run', 'tmp', 'etc/ambient', 'var/log'] as const;
const files = {
  'etc/passwd':
    'root:x:0:0:root:/root:/usr/sbin/nologin\n' +
    `ambient:x:${imageUserId}:${imageUserId}::/nonexistent:/usr/sbin/nologin\n`,
  'etc/group': `root:x:0:\nambient:x:${imageUserId}:\n`,
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/hosts': '',
  'etc/hostname': '',
  'etc/resolv.conf': '',
} as const;

/** Makes the whole root file system in place of what is at `root`. Throws TOOL_MISSING, USAGE, INTERNAL. */
export function makeRootfs(root: string, built: BuiltPackage): void {
  unpackDebian(root);
  prune(root);
  for (const folder of folders) mkdirSync(path.join(root, folder), { recursive: true, mode: 0o755 });
  chmodSync(path.join(root, 'tmp'), 0o1777);
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(root, file), text);
  // An installation script would have made it, and none has run.
  rmSync(path.join(root, 'var/run'), { recursive: true, force: true });
  symlinkSync('/run', path.join(root, 'var/run'));
  const node = installNode(root);
  installPackage(root, built);
  const { main, components } = built;
  const image: Component = { ...main, name: 'ambient', purl: `pkg:oci/ambient@${main.version}` };
  const all = [{ ...main, type: 'application' as const }, node, ...components, ...packagesIn(root)];
  writeFileSync(path.join(root, home, sbomFile), sbomText(image, all));
  setTimes(root);
}

/** Debian's packages, from where this machine has its own; without any of the machine's other sources. */
function unpackDebian(root: string): void {
  if (process.getuid?.() !== 0) {
    throw new MeshError('USAGE', { reason: 'files of an image belong to root: run this as root' });
  }
  ensureTools(['mmdebstrap']);
  const { wanted } = readPackageList();
  const temporary = mkdtempSync(path.join(tmpdir(), 'ambient-image-'));
  const unpacked = path.join(temporary, 'root');
  const records = path.join(temporary, 'records');
  mkdirSync(records);
  const args = [
    '--quiet',
    '--variant=extract',
    `--include=${wanted.join(',')}`,
    ...mergedFolders(),
    // Inside of the hook "$1" is the root; archives are gone when it is over.
    `--extract-hook=${recordScript(records)}`,
    '--aptopt=Acquire::Retries "3"',
    ...proxyOptions(),
    osCodename(),
    unpacked,
    ...ownSources(),
  ];
  try {
    const done = spawnSync('mmdebstrap', args, { encoding: 'utf8', timeout: unpackTimeoutMs });
    if (done.status !== 0) {
      throw new MeshError('INTERNAL', { reason: `mmdebstrap failed: ${`${done.stderr}`.trim().slice(-2_000)}` });
    }
    rmSync(root, { recursive: true, force: true });
    mkdirSync(path.dirname(path.resolve(root)), { recursive: true });
    const moved = spawnSync('mv', [unpacked, root], { encoding: 'utf8' });
    if (moved.status !== 0) throw new MeshError('INTERNAL', { reason: moved.stderr.trim() });
    keepRecords(root, records);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function recordScript(records: string): string {
  return [
    'for deb in "$1"/var/cache/apt/archives/*.deb; do',
    '  name=$(dpkg-deb -f "$deb" Package)',
    `  dpkg-deb -f "$deb" > "${records}/$name"`,
    `  dpkg-deb --fsys-tarfile "$deb" | tar -t > "${records}/$name.files"`,
    'done',
  ].join('\n');
}

/** Writes the records of packages that stay, and takes the files of the others out. */
function keepRecords(root: string, records: string): void {
  const { dropped } = readPackageList();
  rmSync(path.join(root, 'var/lib/dpkg'), { recursive: true });
  mkdirSync(path.join(root, recordsDir), { recursive: true });
  const names = readdirSync(records).filter((name) => !name.endsWith('.files'));
  // Which they are depends on the release of Debian.
  for (const name of dropped.filter((each) => names.includes(each))) {
    const own = readFileSync(path.join(records, `${name}.files`), 'utf8')
      .split('\n')
      .filter(Boolean);
    for (const file of own.reverse()) removeOne(path.join(root, file));
  }
  for (const name of names.filter((each) => !dropped.includes(each))) {
    copyFileSync(path.join(records, name), path.join(root, recordsDir, name));
  }
}

function removeOne(file: string): void {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) rmSync(file);
  else if (readdirSync(file).length === 0) rmdirSync(file);
}

/** Before Debian 13 the links from /bin to /usr/bin and the like came from an installation script. */
function mergedFolders(): string[] {
  const hook = '/usr/share/mmdebstrap/hooks/maybe-merged-usr';
  return existsSync(hook) ? [`--hook-dir=${hook}`] : [];
}

/** The distribution's own files of sources, by name or by who signs; others that people add stand beside them. */
function ownSources(): string[] {
  const isOwn = (name: string, text: string): boolean =>
    /^(sources\.list|(debian|ubuntu)\.(sources|list))$/.test(name) || /\b(debian|ubuntu)-archive-keyring\b/.test(text);
  const found = globSync(['sources.list', 'sources.list.d/*.{sources,list}'], { cwd: '/etc/apt' })
    .sort()
    .map((name) => path.join('/etc/apt', name))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }))
    .filter(({ file, text }) => /^(deb |Types:.*\bdeb\b)/m.test(text) && isOwn(path.basename(file), text));
  if (found.length > 0) return found.map(({ file }) => file);
  throw new MeshError('NOT_FOUND', { what: 'a source of Debian packages', hint: 'is this Debian or Ubuntu?' });
}

/** mmdebstrap has a configuration of its own for apt, which knows nothing of this machine's proxy. */
function proxyOptions(): string[] {
  const dump = spawnSync('apt-config', ['dump'], { encoding: 'utf8' }).stdout;
  return [...dump.matchAll(/^Acquire::https?::.*;$/gm)].map(([line]) => `--aptopt=${line}`);
}

function osCodename(): string {
  return /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
}

function prune(root: string): void {
  for (const folder of unneeded) rmSync(path.join(root, folder), { recursive: true, force: true });
  // Tables of character sets, which the C library loads for iconv alone.
  for (const tables of globSync('usr/lib/*/gconv', { cwd: root })) rmSync(path.join(root, tables), { recursive: true });
  // Nobody in the image becomes somebody else.
  for (const program of globSync(['usr/bin/*', 'usr/sbin/*'], { cwd: root })) {
    const stat = lstatSync(path.join(root, program));
    if (stat.isFile() && (stat.mode & 0o6000) !== 0) chmodSync(path.join(root, program), stat.mode & 0o777);
  }
  const docs = path.join(root, 'usr/share/doc');
  for (const name of readdirSync(docs)) {
    const own = path.join(docs, name);
    if (!lstatSync(own).isDirectory()) continue;
    for (const file of readdirSync(own)) {
      if (file !== 'copyright') rmSync(path.join(own, file), { recursive: true });
    }
    if (readdirSync(own).length === 0) rmdirSync(own);
  }
}

/** As the package from npm has it, whose checksum the lock file holds; answers what it is. */
function installNode(root: string): Component {
  const name = `node-linux-${process.arch}`;
  const from = projectFile(`node_modules/${name}`);
  if (!existsSync(from)) throw new MeshError('NOT_FOUND', { what: name, hint: `type: npm install --no-save ${name}` });
  const { version, license } = JSON.parse(readFileSync(path.join(from, 'package.json'), 'utf8')) as {
    version: string;
    license: string;
  };
  copyFileSync(path.join(from, 'bin/node'), path.join(root, 'usr/bin/node'));
  chmodSync(path.join(root, 'usr/bin/node'), 0o755);
  mkdirSync(path.join(root, 'usr/share/doc/node'), { recursive: true });
  copyFileSync(path.join(from, 'LICENSE'), path.join(root, 'usr/share/doc/node/copyright'));
  return { name, version, licence: license, purl: npmUrl(name, version), type: 'application' };
}

function installPackage(root: string, { tree }: BuiltPackage): void {
  writeTree(path.join(root, home), tree);
  const { bin } = JSON.parse(readFileSync(path.join(root, home, 'package.json'), 'utf8')) as {
    bin: Readonly<Record<string, string>>;
  };
  for (const [name, starter] of Object.entries(bin)) {
    const file = path.join(root, home, starter);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^#!.*/, shebang));
    symlinkSync(path.posix.join('../lib/ambient', starter), path.join(root, 'usr/bin', name));
  }
}
