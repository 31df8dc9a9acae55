// Who a proxy says it is: the node message of discovery, in the form that ztunnel sends and istiod reads (ambient-l4
// §6.1).
import { create, type JsonObject } from '@bufbuild/protobuf';
import type { NodeFinding } from '../model/views.ts';
import { type Node, NodeSchema } from './generated/node_pb.ts';

/** A proxy. */
export interface ProxyNode extends Attendant {
  readonly kind: 'node' | 'waypoint';
}

/** Who can be asked: a proxy, or another replica of the controller, which follows nothing. */
export interface Attendant {
  readonly kind: 'node' | 'waypoint' | 'controller';
  /** Pod name of the proxy itself. */
  readonly name: string;
  readonly namespace: string;
  /** Node that it runs on. */
  readonly nodeName: string;
  readonly addresses: readonly string[];
  readonly clusterId: string;
  readonly version: string;
  /**
   * One run of the proxy, so that two that overlap (one replaces the other) are not taken for one that has come back;
   * '' where the proxy does not say.
   */
  readonly instance?: string;
  /** `NAMESPACE/NAME` of a waypoint's Gateway, once it has been proven; nothing of it travels. */
  readonly waypoint?: string;
}

const agentName = 'ambient';
const textLengthMax = 253;
const findingsMax = 20;
const findingLengthMax = 500;
const findingsLengthMax = 20_000;

/** The node message that says who `node` is. */
export function proxyNodeMessage(node: Attendant, findings: readonly NodeFinding[] = []): Node {
  const metadata: JsonObject = {
    ...(findings.length === 0 ? {} : { FINDINGS: JSON.stringify(findings) }),
    NAME: node.name,
    NAMESPACE: node.namespace,
    INSTANCE_IPS: node.addresses.join(','),
    NODE_NAME: node.nodeName,
    CLUSTER_ID: node.clusterId,
    VERSION: node.version,
    INSTANCE_ID: node.instance ?? '',
  };
  const type = node.kind === 'node' ? 'ztunnel' : node.kind;
  return create(NodeSchema, {
    id: `${type}~${node.addresses[0] ?? ''}~${node.name}.${node.namespace}~${node.namespace}.svc.cluster.local`,
    cluster: type,
    metadata,
    userAgentName: agentName,
    userAgentVersion: node.version,
  });
}

/** What a proxy says of its node; nothing where that cannot be read. For people alone: nothing is decided by it. */
export function findingsOf(message: Node): readonly NodeFinding[] {
  const said = message.metadata?.['FINDINGS'];
  if (typeof said !== 'string' || said.length > findingsLengthMax) return [];
  try {
    const list: unknown = JSON.parse(said);
    return Array.isArray(list) ? list.slice(0, findingsMax).flatMap(findingOf) : [];
  } catch {
    return [];
  }
}

function findingOf(value: unknown): NodeFinding[] {
  if (typeof value !== 'object' || value === null) return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const text = (key: string): string => String(fields[key] ?? '').slice(0, findingLengthMax);
  const severity = (['error', 'warning', 'info'] as const).find((each) => each === fields['severity']) ?? 'info';
  const set = Array.isArray(fields['set']) ? fields['set'].slice(0, findingsMax).map((one) => String(one)) : [];
  return [{ id: text('id'), severity, text: text('text'), fix: text('fix'), set, hint: text('hint') }];
}

/** What a node message tells; fields that are missing are ''. Nothing of it is trusted before a token proves it. */
export function proxyNodeOf(message: Node | undefined): Attendant {
  const text = (key: string): string => {
    const value = message?.metadata?.[key];
    return typeof value === 'string' ? value.slice(0, textLengthMax) : '';
  };
  return {
    kind: (['waypoint', 'controller'] as const).find((kind) => message?.id.startsWith(`${kind}~`)) ?? 'node',
    name: text('NAME'),
    namespace: text('NAMESPACE'),
    nodeName: text('NODE_NAME'),
    addresses: text('INSTANCE_IPS').split(',').filter(Boolean),
    clusterId: text('CLUSTER_ID'),
    instance: text('INSTANCE_ID'),
    version: text('VERSION') || (message?.userAgentVersion ?? '').slice(0, textLengthMax),
  };
}
