// A plaintext connection to an enrolled pod of this node (port 15006). It has no identity, whatever its source
// address is: policy decides, and STRICT's converted policy refuses.
import { MeshError } from '../base/errors.ts';
import { formatHostPort } from '../base/ip.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import { type Captured, captured } from './captured.ts';
import { Connection } from './connection.ts';
import { type ForwardContext, isOwnPort } from './context.ts';
import { localPod } from './local-pod.ts';
import { Pending } from './pending.ts';
import type { PodNetwork } from './pod-networks.ts';

/** Takes over a connection that was accepted on the plaintext inbound port, of `pod` where it was accepted in there. */
export function acceptInboundPlain(context: ForwardContext, accepted: TcpStream, pod: PodNetwork | null = null): void {
  const from = captured(accepted);
  if (from === null) return;
  const { sourceAddress, sourcePort, destinationAddress, destinationPort, stream } = from;
  const connection = new Connection(
    context.nextId(),
    'inbound',
    // For the log only: a source address proves nothing, so there is no identity.
    {
      address: sourceAddress,
      port: sourcePort,
      workload: context.index.workloadByAddress(sourceAddress),
      identity: null,
    },
    { address: destinationAddress, port: destinationPort, workload: null, identity: null },
  );
  const pending = new Pending(context, connection, () => stream.reset());
  pending.begin(() => {
    if (isOwnPort(context.config, destinationPort)) {
      throw new MeshError('SELF_CALL', { address: formatHostPort(destinationAddress, destinationPort) });
    }
    if (pod?.has(destinationAddress) === false) {
      throw new MeshError('UNKNOWN_DESTINATION', { address: destinationAddress });
    }
    forward(pending, from);
  });
}

function forward(pending: Pending, from: Captured): void {
  const { sourceAddress, destinationAddress, destinationPort, stream } = from;
  const { context, connection } = pending;
  const pod = localPod(pending, destinationAddress, () => forward(pending, from));
  if (pod === null) return;
  connection.destination = { ...connection.destination, workload: pod };
  context.tracker.bind(connection, pod, 'destination');
  pending.authorize({
    destination: pod,
    sourceIdentity: null,
    sourceIp: sourceAddress,
    destinationIp: destinationAddress,
    destinationPort,
  });
  pending.connect(
    {
      host: destinationAddress,
      port: destinationPort,
      from: sourceAddress,
      inside: destinationAddress,
      isLocal: true,
    },
    (podStream) => pending.join(stream, podStream),
    (error) => pending.fail(error),
  );
}
