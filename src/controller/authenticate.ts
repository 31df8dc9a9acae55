// Who calls: a bearer token, verified, and bound to a pod that exists. Only node proxies may call, and each is held to
// the node that its own pod runs on (ambient-l4 §7.2).
import { MeshError } from '../base/errors.ts';
import type { TokenClaims } from '../identity/jwt.ts';

/** A proxy that has proven who it is. */
export interface Caller {
  readonly kind: 'node' | 'waypoint' | 'controller';
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: string;
  readonly node: string;
}

/** What is known of a pod. */
export interface KnownPod {
  readonly uid: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly phase: string;
  /** Whose waypoint it is: the Gateway's name; null for any other pod. */
  readonly gateway: string | null;
}

export interface AuthenticatorOptions {
  /** Throws when the token is not good. */
  readonly verify: (token: string) => TokenClaims | Promise<TokenClaims>;
  /** `NAMESPACE/SERVICEACCOUNT`s of node proxies. */
  readonly nodeAccounts: readonly string[];
  /** `NAMESPACE/SERVICEACCOUNT` of the controller's own replicas, where they may call; '' or none where not. */
  readonly replicaAccount?: string;
  readonly pod: (namespace: string, name: string) => KnownPod | null;
}

const finishedPhases: readonly string[] = ['Failed', 'Succeeded'];

/**
 * Returns the proxy that `authorization` (the header's value) proves. Throws CALLER_REFUSED with the reason, which
 * is for the log and not for the caller.
 */
export async function authenticate(authorization: string | null, options: AuthenticatorOptions): Promise<Caller> {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw refused('the call has no bearer token');
  return callerOf(await options.verify(token), options);
}

function callerOf(claims: TokenClaims, options: AuthenticatorOptions): Caller {
  const { namespace, serviceAccount, pod: bound, node } = claims;
  if (namespace === null || serviceAccount === null) throw refused('the token is bound to no service account');
  const account = `${namespace}/${serviceAccount.name}`;
  if (claims.subject !== `system:serviceaccount:${namespace}:${serviceAccount.name}`) {
    throw refused(`the subject ${claims.subject.slice(0, 300)} is not the service account ${account}`);
  }
  const isNode = options.nodeAccounts.includes(account);
  const isReplica = !isNode && account === options.replicaAccount;
  if (bound === null) {
    if (!isNode && !isReplica) throw refused(`${account} is not the account of a node proxy`);
    throw refused(`the token of ${account} is bound to no pod`);
  }
  const pod = options.pod(namespace, bound.name);
  // A waypoint runs under the account that bears its Gateway's name: that is who its clients expect.
  if (!isNode && !isReplica && (pod === null || pod.gateway !== serviceAccount.name)) {
    throw refused(`${account} is not the account of a node proxy, nor is its pod a waypoint`);
  }
  const who = `pod ${namespace}/${bound.name}`;
  if (pod === null) throw refused(`${who} is not known`);
  if (pod.uid !== bound.uid) throw refused(`${who} has another uid than the token`);
  if (pod.serviceAccount !== serviceAccount.name) throw refused(`${who} runs as ${pod.serviceAccount}`);
  if (finishedPhases.includes(pod.phase)) throw refused(`${who} has finished`);
  if (pod.node === '') throw refused(`${who} is on no node`);
  if (node !== null && node.name !== pod.node)
    throw refused(`${who} is on node ${pod.node}, its token is for ${node.name}`);
  const kind = isNode ? 'node' : isReplica ? 'controller' : 'waypoint';
  return { kind, namespace, serviceAccount: serviceAccount.name, pod: bound.name, node: pod.node };
}

function refused(reason: string): MeshError {
  return new MeshError('CALLER_REFUSED', { reason });
}
