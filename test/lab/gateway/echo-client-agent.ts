// The client of the echo's image inside a pod, again and again without a new process each time. Takes commands as
// `pod-agent.ts` does.
import { createInterface } from 'node:readline';
import { runEchoClient } from '../../../src/lab/echo/client.ts';
import { echoClientOptions } from '../../../src/lab/echo/client-options.ts';

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

async function client(args: readonly string[]): Promise<object> {
  return { ...(await runEchoClient(echoClientOptions(args))) };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, args } = JSON.parse(line) as { id: number; args: readonly string[] };
  client(args).then(
    (result) => say({ id, result }),
    (error: unknown) => say({ id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.stdin.on('end', () => process.exit(0));
say({ event: 'ready' });
