// Gateways as Kubernetes has them, as far as commands about waypoints look at them.
import { waypointClasses } from '../model/waypoints.ts';

export interface WaypointObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
  };
  readonly spec?: { readonly gatewayClassName?: string };
  readonly status?: {
    readonly addresses?: readonly { readonly value?: string }[];
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

/** True for a Gateway that asks for a waypoint, of ours or of Istio's class. */
export function isWaypointObject(object: object): object is WaypointObject {
  const { spec } = object as Partial<WaypointObject>;
  return waypointClasses.includes(spec?.gatewayClassName ?? '');
}
