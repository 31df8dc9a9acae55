// Requests that ask whether something is well: they are answered like any other, and count in no statistics that could
// take an endpoint out of rotation. A new version whose probes fail says nothing about those that work.
import type { RequestHead } from '../message.ts';

const kubeletAgent = 'kube-probe/';

/** True for a kubelet's probe (by its user agent), and for a path that was declared as one of health (query aside). */
export function isHealthRequest(head: RequestHead, healthPaths: readonly string[]): boolean {
  if (head.headers.get('user-agent')?.startsWith(kubeletAgent) === true) return true;
  if (healthPaths.length === 0) return false;
  const { target } = head;
  const question = target.indexOf('?');
  return healthPaths.includes(question < 0 ? target : target.slice(0, question));
}
