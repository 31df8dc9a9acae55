// The data thread of a node proxy: the entry that piscina runs in each worker.
import type { ConnectTcp } from '../forward/context.ts';
import { DataPath } from '../proxy/data-path.ts';
import { type AssembleThread, type DataThreadTask, serveThread } from '../proxy/data-thread.ts';
import { DataThreadListeners } from './data-thread-listeners.ts';

/** What the data threads of a node proxy are made of; tests bring their own `connect`. */
export function nodeThread(connect?: ConnectTcp): AssembleThread {
  return (start, ask) => {
    const path = new DataPath(start, ask, { connect });
    return { path, listeners: new DataThreadListeners(path) };
  };
}

/** Serves until the port is closed. Resolves then; rejects when a listener cannot be opened. */
export function serve(task: DataThreadTask): Promise<void> {
  return serveThread(task, nodeThread());
}
