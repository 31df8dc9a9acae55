// Node proxies that the controller has lost: those that run are told from those that are down, which call for different
// things to do.
import type { ProxyStateView, ProxyView, StatusView } from '../model/views.ts';
import { within } from './ask-proxies.ts';
import type { Paint } from './io.ts';
import type { Mesh } from './mesh.ts';

/** A node proxy that does not follow the controller, and what it says itself. */
export interface LostNode {
  readonly node: string;
  /** Its own words about the controller, '' where it has none; null when it does not answer either. */
  readonly says: string | null;
  /** What shows more. */
  readonly next: string;
}

/** Asks those that the controller has lost, past the controller where that can be done. Never rejects. */
export async function lostNodes(mesh: Mesh, { proxies }: StatusView): Promise<LostNode[]> {
  const lost = proxies.filter(({ kind, connected }) => kind === 'node' && connected === false);
  const ask = async ({ node }: ProxyView): Promise<LostNode> => {
    const part = { kind: 'node', name: node } as const;
    const next = `see: ${mesh.logsCommand(part)}`;
    try {
      const { discovery } = (await within(mesh.admin(part, '/state'), node)) as Partial<ProxyStateView>;
      return { node, says: discovery === undefined ? null : (discovery.lastError ?? ''), next };
    } catch {
      return { node, says: null, next };
    }
  };
  return await Promise.all(lost.map(ask));
}

/** A line for each, with what to look at. */
export function lostLines(lost: readonly LostNode[], paint: Paint): string {
  return lost.map((one) => `${paint('error', 'bad')} node ${one.node}: ${wordsOf(one)}; ${one.next}\n`).join('');
}

function wordsOf({ says }: LostNode): string {
  if (says === null) return 'its proxy does not answer: its pods reach nobody in the mesh; see why it does not run';
  const own = says === '' ? '' : ` (${says})`;
  return (
    `its proxy runs, and does not receive configuration${own}: it serves by what it knew; ` +
    "look at the network between the node and the controller's port 15012"
  );
}
