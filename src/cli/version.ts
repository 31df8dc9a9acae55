// `ambientctl version`: this program, and the parts of the lab that is meant, if one runs.
import { version as ownVersion } from '../base/version.ts';
import type { StatusView } from '../model/views.ts';
import { type Command, flagOption } from './command.ts';
import { table } from './table.ts';
import { adminView, labOf } from './which-mesh.ts';

interface PartVersion {
  readonly part: string;
  readonly name: string;
  readonly version: string;
}

/** Prints versions; `--client` asks nobody. Without a running lab only this program is listed, which is no failure. */
export const version: Command = async (context) => {
  const client = { version: ownVersion, runtime: process.version };
  const asked = context.options.lab !== undefined || Boolean(context.io.env.AMBIENT_LAB);
  let lab: { name: string; controller: string; proxies: { name: string; version: string }[] } | null = null;
  if (!flagOption(context, 'client')) {
    try {
      const found = labOf(context);
      const view = (await adminView(found, 'controller', '/status', 'proxies')) as StatusView;
      const proxies = view.proxies.map((proxy) => ({ name: proxy.name, version: proxy.version }));
      lab = { name: found.lab.name, controller: view.version, proxies };
    } catch (error) {
      if (asked || context.options.kubeconfig !== undefined) throw error;
    }
  }
  const rows: PartVersion[] = [{ part: 'ambientctl', name: `on ${client.runtime}`, version: client.version }];
  if (lab !== null) {
    rows.push({ part: 'controller', name: `of lab ${lab.name}`, version: lab.controller });
    for (const proxy of lab.proxies) rows.push({ part: 'proxy', name: proxy.name, version: proxy.version });
  }
  return {
    data: { client, lab },
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
