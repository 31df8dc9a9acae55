// What the replicas of a controller say, as one: every proxy is connected to one of them, which alone knows how it
// stands.
import type { StatusView } from './views.ts';

/** The first one, with the proxies of all; of two that know a proxy, the one that it is ready at. */
export function joinedStatus([first, ...others]: readonly [StatusView, ...StatusView[]]): StatusView {
  const proxies = new Map<string, StatusView['proxies'][number]>();
  for (const proxy of [first, ...others].flatMap((view) => view.proxies)) {
    const key = `${proxy.kind} ${proxy.node} ${proxy.name}`;
    const known = proxies.get(key);
    if (known === undefined || (!known.ready && proxy.ready)) proxies.set(key, proxy);
  }
  return { ...first, proxies: [...proxies.values()] };
}
