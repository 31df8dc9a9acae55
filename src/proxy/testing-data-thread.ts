// A data thread without a data path, for the tests of the pool: it speaks the protocol of `messages.ts` and dies on
// demand.
import type { MessagePort } from 'node:worker_threads';
import { noDelay } from './loop-delay.ts';
import type { DataThreadStart, FromDataThread, ToDataThread } from './messages.ts';

/**
 * Serves like the real one; the log level `die` throws outside of any task, `exit` ends the worker, `mute` answers no
 * more.
 */
export function serve({ start, port }: { start: DataThreadStart; port: MessagePort }): Promise<void> {
  const tell = (message: FromDataThread): void => port.postMessage(message);
  let opened = 0;
  let isMute = false;
  return new Promise((resolve) => {
    port.on('close', () => resolve());
    port.on('message', (message: ToDataThread) => {
      if (message.type === 'mesh' && message.update.complete) tell({ type: 'serving', tcp: 'raw' });
      if (message.type === 'certificate') opened += 1;
      if (message.type === 'drain') tell({ type: 'drained', closedByDeadline: 0 });
      if (message.type === 'snapshot' && !isMute) {
        const counters = { ambient_lives_total: start.listeners.outbound[0] ?? 0, ambient_certificates: opened };
        tell({ type: 'snapshot', id: message.id, connections: [], edges: [], counters, loopDelayMs: noDelay });
      }
      if (message.type === 'crash') process.exit(3);
      if (message.type !== 'logLevel') return;
      if (message.level === `die ${start.threadId}`) setImmediate(() => Reflect.apply(null as never, null, []));
      if (message.level === `exit ${start.threadId}`) process.exit(3);
      if (message.level === `mute ${start.threadId}`) isMute = true;
    });
  });
}
