// The replicas of the controller in a sentence: whose proxies are seen here, and whose are not.
import type { ReplicaView } from '../model/page-views.ts';
import { plural } from './format.ts';

/** '' for one replica alone. */
export function replicaWords(replicas: readonly ReplicaView[]): string {
  if (replicas.length === 0) return '';
  const each = replicas.map(({ pod, isThis, proxies }) => {
    const name = pod === '' ? 'this one' : `${pod.slice(pod.indexOf('/') + 1)}${isThis ? ' (this page)' : ''}`;
    if (proxies === null) return `${name} does not answer: what its proxies know is missing here`;
    return `${name} with ${plural(proxies, 'proxy', 'proxies')}`;
  });
  return `${plural(replicas.length, 'replica')} of the controller: ${each.join(', ')}.`;
}

/** False when something is missing. */
export function isAllHeard(replicas: readonly ReplicaView[]): boolean {
  return replicas.every(({ proxies }) => proxies !== null);
}
