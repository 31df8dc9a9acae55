// Our own pair: two `ambient-node` processes that capture by nftables, and follow the bench's controller.
//
// The real program with what users have switched on: metrics, and an access log in a file. One data thread each, as
// every peer has one.
import path from 'node:path';
import { eventually, type Service } from '../processes.ts';
import { gatewayOn, serverAddress, type Topology } from '../topology.ts';
import { type ControlPlane, isReady, type NodeName, nodeName, nodes, podCidrs, startProgram } from './control-plane.ts';
import { type RunningPath, type StartPath, serverPort } from './path.ts';

export interface AmbientOptions {
  readonly controlPlane: ControlPlane;
  /** Node's flags for the proxies. */
  readonly nodeFlags: readonly string[];
  /** Takes each process as soon as it runs, so that it is stopped whatever happens next. */
  readonly keep: (service: Service) => void;
}

const readyTimeoutMs = 60_000;

/** Starts the pair as a path of `l4`. */
export const startAmbient =
  (options: AmbientOptions): StartPath =>
  async ({ dir, topology }): Promise<RunningPath> => {
    const proxies = await startNodeProxies(options, dir, topology);
    const origin = `http://${serverAddress}:${serverPort}`;
    return { name: 'ambient', topology, origin, proxies, services: proxies };
  };

/** Starts the node proxies, and waits until both say that they are ready. */
export async function startNodeProxies(options: AmbientOptions, dir: string, topology: Topology): Promise<Service[]> {
  const { controlPlane, nodeFlags, keep } = options;
  const proxies = nodes.map((name, at) => {
    const netns = name === 'a' ? topology.nodeA : topology.nodeB;
    const config = nodeConfig(dir, name, controlPlane, topology.controlAddresses[at] as string);
    const service = startProgram({ dir, name: `ambient-node@${name}`, netns, config, nodeFlags });
    keep(service);
    return service;
  });
  for (const control of topology.controlAddresses) {
    await eventually('ambient-node', readyTimeoutMs, proxies, () => isReady(gatewayOn(control)));
  }
  return proxies;
}

function nodeConfig(dir: string, name: NodeName, controlPlane: ControlPlane, controlAddress: string): unknown {
  return {
    nodeName: nodeName(name),
    controllerUrl: `https://${controlAddress}:15012`,
    controllerRootsFile: controlPlane.rootsFile,
    tokenFile: controlPlane.tokenFiles[name],
    stateDir: path.join(dir, `state-${name}`),
    threads: 1,
    podCidrs: [podCidrs[name]],
    meshCidrs: Object.values(podCidrs),
    log: { format: 'text', access: 'on', accessFile: path.join(dir, `access-${name}.log`) },
  };
}
