// A real ztunnel in both pods: dedicated mode, one worker thread each, following the same controller as our own pair.
//
// As in a cluster it serves inside the pods' network namespaces, behind redirections like those of Istio's CNI agent.
// Its certificates come from our authority, and the same policy of 100 rules, its metrics and its access log are on. It
// binds to no client address (`ENABLE_ORIG_SRC`), as our own does not unless asked to.
import path from 'node:path';
import { command, eventually, inNamespace, Service } from '../processes.ts';
import { clientAddress, routeToPods, serverAddress } from '../topology.ts';
import { type ControlPlane, isReady, nodeName, nodes, podNames, podNamespace } from './control-plane.ts';
import { type RunningPath, type StartPath, serverPort } from './path.ts';

const readyTimeoutMs = 60_000;
/** Its own connections bear it, so that they are not captured again. */
const mark = 0x539;
const redirections = `table ip ztunnel {
  chain output {
    type nat hook output priority -100; policy accept;
    meta mark ${mark} accept
    ip daddr { 127.0.0.0/8, 10.81.0.0/16 } accept
    meta l4proto tcp redirect to :15001
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    tcp dport { 15008, 15021 } accept
    meta l4proto tcp redirect to :15006
  }
}
`;

/** Starts the pair with the binary `program`, and waits until both are ready. */
export const startZtunnel =
  (program: string, controlPlane: ControlPlane): StartPath =>
  async ({ dir, topology }): Promise<RunningPath> => {
    routeToPods(topology);
    const proxies = nodes.map((name, at) => {
      const pod = name === 'a' ? topology.client : topology.server;
      const controller = `https://${topology.controlAddresses[at]}:15012`;
      const [nsenter, ...words] = inNamespace(pod, ['nft', '-f', '-']);
      command(nsenter, words, redirections);
      const env = {
        PROXY_MODE: 'dedicated',
        PROXY_WORKLOAD_INFO: `${podNamespace}/${podNames[name]}/${podNames[name]}`,
        ZTUNNEL_WORKER_THREADS: '1',
        PACKET_MARK: String(mark),
        ENABLE_ORIG_SRC: 'false',
        IPV6_ENABLED: 'false',
        NODE_NAME: nodeName(name),
        CLUSTER_ID: 'Kubernetes',
        XDS_ADDRESS: controller,
        CA_ADDRESS: controller,
        XDS_ROOT_CA: controlPlane.rootsFile,
        CA_ROOT_CA: controlPlane.rootsFile,
        AUTH_TOKEN: controlPlane.tokenFiles[name],
        ISTIO_META_DNS_CAPTURE: 'false',
        RUST_LOG: 'info',
      };
      const logFile = path.join(dir, `ztunnel-${name}.log`);
      return new Service({ name: `ztunnel-${name}`, netns: pod, words: [program], logFile, env });
    });
    const origin = `http://${serverAddress}:${serverPort}`;
    try {
      for (const address of [clientAddress, serverAddress]) {
        await eventually('ztunnel', readyTimeoutMs, proxies, () => isReady(address));
      }
    } catch (error) {
      for (const proxy of proxies) await proxy.stop();
      throw error;
    }
    return { name: 'ztunnel', topology, origin, proxies, services: proxies };
  };
