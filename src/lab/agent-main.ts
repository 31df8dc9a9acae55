// The agent of one node: the only process of ours in a node's network namespace beside the proxy. It makes the node's
// probes and passes requests on to the proxy's admin port. It ends with the lab, by its IPC channel.
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { FromAgent, ToAgent } from './agent-messages.ts';
import { askHttp } from './ask-http.ts';
import { attemptProbe, describeProbe } from './probe.ts';
import { Prober } from './prober.ts';

const probers = new Map<string, Prober>();

function say(message: FromAgent): void {
  process.send?.(message);
}

function watch(message: Extract<ToAgent, { type: 'watch' }>): void {
  const { id, action, timing } = message;
  probers.get(id)?.close();
  const attempt = async (timeoutMs: number) => {
    const reason = await attemptProbe(action, timeoutMs);
    return reason === null ? null : `${describeProbe(action)}: ${reason}`;
  };
  const prober = new Prober(timing, attempt, (verdict) => say({ type: 'verdict', id, ...verdict }), systemClock);
  probers.set(id, prober);
  prober.start();
}

async function ask(message: Extract<ToAgent, { type: 'request' }>): Promise<void> {
  const { id, ...request } = message;
  try {
    const answer = await askHttp({ ...request, host: '127.0.0.1' });
    say({ type: 'answer', id, ...answer });
  } catch (error) {
    say({ type: 'noAnswer', id, reason: messageOf(error) });
  }
}

process.on('message', (message: ToAgent) => {
  if (message.type === 'watch') watch(message);
  else if (message.type === 'request') void ask(message);
  else {
    probers.get(message.id)?.close();
    probers.delete(message.id);
  }
});
process.on('disconnect', () => process.exit(0));
say({ type: 'started' });
