// What the status of a Gateway says of its deployment, beside what the mesh makes of the Gateway itself.
import type { SetProblem } from '../kube/object-keeper.ts';
import { type Condition, conditionOf, type ObjectStatus } from '../model/conditions.ts';
import type { GatewayResource } from '../model/resources.ts';

export interface Deployed {
  /** False where this controller deploys no waypoints. */
  readonly isDeployed: boolean;
  /** Why its parameters are refused; null when they are not. */
  readonly refused: string | null;
  /** What its deployment waits for. */
  readonly waiting: string | null;
  readonly problem: SetProblem | null;
  /** Pods of its Deployment that are available. */
  readonly available: number;
}

/** The status with Programmed true only when a pod is available, on the Gateway and on its listeners. */
export function deployedStatus(gateway: GatewayResource, status: ObjectStatus, deployed: Deployed): ObjectStatus {
  const { isDeployed, refused } = deployed;
  if (!isDeployed) return status;
  const accepted =
    refused === null
      ? null
      : conditionOf(gateway, 'Accepted', false, 'InvalidParameters', `${refused}; what was made before stays`);
  const missing = missingOf(gateway, deployed);
  const adjusted = (one: Condition): Condition => {
    if (one.type === 'Accepted' && accepted !== null && one.status === 'True') return accepted;
    if (one.type !== 'Programmed' || one.reason === 'Invalid') return one;
    // The mesh knows of an address before it knows of pods, and of those by their labels alone.
    if (one.reason === 'AddressNotAssigned' && missing?.reason !== 'NoResources') return one;
    if (missing === null) return conditionOf(gateway, 'Programmed', true, 'Programmed', 'a pod of it is available');
    return conditionOf(gateway, 'Programmed', false, missing.reason, missing.message);
  };
  // Parameters are the Gateway's: a listener is as good as before.
  const adjustedListener = (one: Condition): Condition => (one.type === 'Programmed' ? adjusted(one) : one);
  return {
    ...status,
    conditions: status.conditions.map(adjusted),
    ...(status.listeners === undefined
      ? {}
      : {
          listeners: status.listeners.map((one) => ({ ...one, conditions: one.conditions.map(adjustedListener) })),
        }),
  };
}

function missingOf(
  { namespace, name }: GatewayResource,
  { waiting, problem, available, refused }: Deployed,
): { readonly reason: string; readonly message: string } | null {
  if (problem?.what === 'taken') return { reason: 'NoResources', message: problem.message };
  if (available > 0) return null;
  if (problem !== null) return { reason: 'Pending', message: problem.message };
  const why = refused ?? waiting ?? `no pod of Deployment ${namespace}/${name} is available`;
  return { reason: 'Pending', message: why };
}
