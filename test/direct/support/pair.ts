// Two nodes and what most rows need: `web` on n1, `cart` on n2 behind a service with a VIP that n1 captures.
import type { TestContext } from 'node:test';
import { pod, port, service, update } from '../../../src/forward/testing-mesh.ts';
import type { MeshUpdate, Workload } from '../../../src/model/types.ts';
import { hbonePort, type NodeOptions, TestNode } from './mesh.ts';

export interface Pair {
  readonly n1: TestNode;
  readonly n2: TestNode;
  readonly web: string;
  readonly cart: string;
  readonly cart2: string;
  readonly vip: string;
  readonly webPod: Workload;
  readonly cartPod: Workload;
  readonly cart2Pod: Workload;
  /** Those that see a connection from web to cart. */
  readonly proxies: readonly TestNode[];
  /** Changes the mesh on both nodes. */
  apply(change: Partial<MeshUpdate>): Promise<void>;
}

export interface PairOptions {
  readonly mesh?: Partial<MeshUpdate>;
  /** Where cart runs; default n2. On n1 there is no tunnel. */
  readonly cartNode?: 'n1' | 'n2';
  /** Whether cart has a second endpoint on n2, `cart2`; its own identity is that of `cart`. */
  readonly second?: Partial<Workload>;
  readonly n1?: Partial<NodeOptions>;
  readonly n2?: Partial<NodeOptions>;
}

/** `net` is the second octet of all addresses, so that files can run side by side. */
export async function startPair(context: TestContext, net: number, options: PairOptions = {}): Promise<Pair> {
  const web = `127.${net}.1.2`;
  const cart = `127.${net}.2.3`;
  const cart2 = `127.${net}.2.4`;
  const vip = `127.${net}.96.1`;
  const services = { 'shop/cart.shop.svc.cluster.local': [port(80, 8080)] };
  const webPod = pod('web', 'n1', web);
  const cartPod = pod('cart', options.cartNode ?? 'n2', cart, { services });
  const cart2Pod = pod('cart2', 'n2', cart2, { serviceAccount: 'cart', services, ...options.second });
  const n1 = new TestNode(context, 'n1', {
    podCidrs: [`127.${net}.1.0/24`],
    outbound: [
      { host: vip, port: 80 },
      { host: cart, port: 8080 },
    ],
    ...options.n1,
  });
  const n2 = new TestNode(context, 'n2', {
    podCidrs: [`127.${net}.2.0/24`],
    hbone: [
      { host: cart, port: hbonePort },
      { host: cart2, port: hbonePort },
    ],
    ...options.n2,
  });
  const { workloads = [], ...more } = options.mesh ?? {};
  const pods = [webPod, cartPod, ...(options.second === undefined ? [] : [cart2Pod]), ...workloads];
  const first = { services: [service('cart', vip, [port(80, 8080)])], ...more, workloads: pods };
  const apply = async (change: Partial<MeshUpdate>): Promise<void> => {
    await Promise.all([n1.apply(update(change)), n2.apply(update(change))]);
  };
  await apply({ ...first, complete: true });
  await Promise.all([n1.serving, n2.serving]);
  const proxies = options.cartNode === 'n1' ? [n1] : [n1, n2];
  return { n1, n2, proxies, web, cart, cart2, vip, webPod, cartPod, cart2Pod, apply };
}
