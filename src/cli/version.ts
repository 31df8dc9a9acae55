// `ambientctl version`: this program, and the parts of the mesh that is meant, if one runs.
import { version as ownVersion } from '../base/version.ts';
import type { StatusView } from '../model/views.ts';
import { type Command, flagOption } from './command.ts';
import { table } from './table.ts';
import { adminView, meshOf } from './which-mesh.ts';

interface PartVersion {
  readonly part: string;
  readonly name: string;
  readonly version: string;
}

interface MeshVersions {
  readonly name: string;
  readonly controller: string;
  readonly proxies: readonly { readonly name: string; readonly version: string }[];
}

/** Prints versions; `--client` asks nobody. Without a running lab only this program is listed, which is no failure. */
export const version: Command = async (context) => {
  const client = { version: ownVersion, runtime: process.version };
  const asked = ['lab', 'kubeconfig', 'context'].some((name) => context.options[name] !== undefined);
  let mesh: MeshVersions | null = null;
  let isLab = false;
  if (!flagOption(context, 'client')) {
    try {
      const found = await meshOf(context);
      const view = (await adminView(found, 'controller', '/status', 'proxies')) as StatusView;
      const proxies = view.proxies.map((proxy) => ({ name: proxy.name, version: proxy.version }));
      isLab = found.title.startsWith('lab ');
      mesh = { name: found.title.replace(/^(lab|cluster) /, ''), controller: view.version, proxies };
    } catch (error) {
      if (asked || context.io.env.AMBIENT_LAB) throw error;
    }
  }
  const rows: PartVersion[] = [{ part: 'ambientctl', name: `on ${client.runtime}`, version: client.version }];
  if (mesh !== null) {
    rows.push({ part: 'controller', name: `of ${isLab ? 'lab' : 'cluster'} ${mesh.name}`, version: mesh.controller });
    for (const proxy of mesh.proxies) rows.push({ part: 'proxy', name: proxy.name, version: proxy.version });
  }
  return {
    data: { client, lab: isLab ? mesh : null, ...(mesh === null || isLab ? {} : { cluster: mesh }) },
    text: (view) =>
      table(
        [
          { header: 'PART', value: (row: PartVersion) => row.part },
          { header: 'NAME', value: (row) => row.name },
          { header: 'VERSION', value: (row) => row.version },
        ],
        rows,
        view,
      ),
  };
};
