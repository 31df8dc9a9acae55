// The data thread of a node proxy: the entry that piscina runs in each worker.
import type { NodeConfig } from '../config/node.ts';
import type { ConnectTcp } from '../forward/context.ts';
import { DataPath } from '../proxy/data-path.ts';
import { type AssembleThread, type DataThreadTask, serveThread } from '../proxy/data-thread.ts';
import type { DataThreadStart } from '../proxy/messages.ts';
import { originOf } from '../telemetry/traces/origin.ts';
import type { SpanOrigin } from '../telemetry/traces/span.ts';
import { DataThreadListeners } from './data-thread-listeners.ts';

/** What the data threads of a node proxy are made of; tests bring their own `connect`. */
export function nodeThread(connect?: ConnectTcp): AssembleThread {
  return (start, ask, notice) => {
    const path = new DataPath(start, ask, { connect, notice, origin: spanOrigin(start) });
    return { path, listeners: new DataThreadListeners(path) };
  };
}

function spanOrigin({ nodeName: node, clusterId: cluster, config }: DataThreadStart): SpanOrigin {
  const { systemNamespace: namespace = '' } = config as unknown as Partial<NodeConfig>;
  const name = 'ambient-node';
  return originOf({ service: name, namespace, pod: '', node, cluster, workload: { type: 'daemonset', name } });
}

/** Serves until the port is closed. Resolves then; rejects when a listener cannot be opened. */
export function serve(task: DataThreadTask): Promise<void> {
  return serveThread(task, nodeThread());
}
