// `kubectl krew install`: the plugin `kubectl ambient` as archives, one for each platform, and the manifest that names
// them with their checksums (krew's Plugin, v1alpha2).
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { archiveOf } from './archive.ts';
import type { Component } from './sbom.ts';
import type { Tree, TreeFile } from './tree.ts';

/** Where the archives of a release are when nobody says otherwise. */
export const releaseUrl = 'https://ambient.mesh/releases';
export const pluginName = 'ambient';
const home = 'https://ambient.mesh';
const starter = 'src/bin/kubectl-ambient.mjs';

/** As krew and Go name them. */
const platforms = [
  { os: 'linux', arch: 'amd64' },
  { os: 'linux', arch: 'arm64' },
  { os: 'darwin', arch: 'amd64' },
  { os: 'darwin', arch: 'arm64' },
] as const;

/**
 * The manifest `ambient.yaml`, and the archives that it names. They hold the package without its starters for the
 * mesh's own programs, and a line that says which platform they are for.
 */
export function krewTree(tree: Tree, { version }: Component, url: string = releaseUrl): Tree {
  const own = new Map([...tree].filter(([file]) => !/^src\/bin\/ambient-.*\.mjs$/.test(file)));
  const built = platforms.map(({ os, arch }) => {
    const file = `kubectl-ambient-${version}-${os}-${arch}.tar.gz`;
    const about = `kubectl-ambient ${version} for ${os}/${arch}; it wants Node 24 or newer on the PATH\n`;
    const bytes = archiveOf(new Map([...own, ['PLATFORM', { bytes: about }]]));
    return { os, arch, file, bytes };
  });
  const manifest = {
    apiVersion: 'krew.googlecontainertools.github.com/v1alpha2',
    kind: 'Plugin',
    metadata: { name: pluginName },
    spec: {
      version: `v${version}`,
      homepage: home,
      shortDescription: 'See, explain and operate an Ambient mesh',
      description:
        'Looks into an Ambient mesh (sidecarless: mutual TLS by node proxies, HTTP by waypoints) and operates it:\n' +
        'status, why, edges, tap, stat, check, analyze, simulate, enroll, waypoint, sysdump.\n',
      caveats:
        'Needs Node 24 or newer on the PATH. For completion copy or link\n' +
        '~/.krew/store/ambient/VERSION/src/bin/kubectl_complete-ambient.mjs to kubectl_complete-ambient on the PATH.\n',
      platforms: built.map(({ os, arch, file, bytes }) => ({
        selector: { matchLabels: { os, arch } },
        uri: `${url.replace(/\/+$/, '')}/v${version}/${file}`,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        bin: starter,
      })),
    },
  };
  const files: [string, TreeFile][] = built.map(({ file, bytes }) => [file, { bytes }]);
  return new Map([...files, [`${pluginName}.yaml`, { bytes: stringify(manifest, { lineWidth: 0 }) }]]);
}
