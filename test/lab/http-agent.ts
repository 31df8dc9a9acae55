// A client in a pod that speaks HTTP, gRPC (grpc-js) and WebSocket, and a gRPC server: what an application would do,
// with its own libraries. Takes commands as `pod-agent.ts` does.
import { spawn } from 'node:child_process';
import { Agent, request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import { closeStreams, openStreams, sayOnStreams, serveGrpc, unary } from './http-agent-grpc.ts';

export interface Burst {
  readonly url: string;
  readonly count: number;
  readonly concurrency?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came of many requests: how many by status, by the pod that answered, and by error code. */
export interface Outcome {
  sent: number;
  statuses: Record<string, number>;
  pods: Record<string, number>;
  errors: Record<string, number>;
}

type Call = (args: never) => Promise<object>;
const requestTimeoutMs = 20_000;
const agent = new Agent({ keepAlive: true, maxSockets: 256 });
const loads = new Map<number, { readonly outcome: Outcome; readonly stop: () => Promise<void> }>();
const sockets = new Map<number, WebSocket>();
let nextId = 1;

const add = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};
const noOutcome = (): Outcome => ({ sent: 0, statuses: {}, pods: {}, errors: {} });

function one({ url, method = 'GET', headers = {} }: Omit<Burst, 'count'>, outcome: Outcome): Promise<void> {
  outcome.sent++;
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      add(outcome.errors, error.code ?? error.message);
      resolve();
    };
    const outgoing = httpRequest(url, { agent, method, headers, timeout: requestTimeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', failed);
      response.on('end', () => {
        add(outcome.statuses, String(response.statusCode));
        const pod = /"pod": "([^"]*)"/.exec(Buffer.concat(chunks).toString('utf8'))?.[1];
        if (pod !== undefined) add(outcome.pods, pod);
        resolve();
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', failed);
    outgoing.end();
  });
}

async function burst({ count, concurrency = 8, ...what }: Burst): Promise<Outcome> {
  const outcome = noOutcome();
  const worker = async (): Promise<void> => {
    while (outcome.sent < count) await one(what, outcome);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return outcome;
}

async function startLoad(what: Omit<Burst, 'count'>): Promise<object> {
  const outcome = noOutcome();
  let goes = true;
  const worker = async (): Promise<void> => {
    while (goes) {
      await one(what, outcome);
      // A pause, so that the load leaves the machine to what is being tested.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const done = Promise.all(Array.from({ length: what.concurrency ?? 8 }, worker));
  const stop = async (): Promise<void> => {
    goes = false;
    await done;
  };
  loads.set(nextId, { outcome, stop });
  return { load: nextId++ };
}

async function stopLoad({ load }: { load: number }): Promise<Outcome> {
  const running = loads.get(load)!;
  await running.stop();
  return running.outcome;
}

async function loadSoFar({ load }: { load: number }): Promise<Outcome> {
  return loads.get(load)!.outcome;
}

function shell({ command }: { command: string }): Promise<object> {
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('latin1');
    });
    child.on('close', (exit) => resolve({ exit, stdout, stderr }));
  });
}

async function openSocket({ url }: { url: string }): Promise<object> {
  const socket = new WebSocket(url, ['echo']);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`no WebSocket at ${url}`));
  });
  sockets.set(nextId, socket);
  return { socket: nextId++, protocol: socket.protocol };
}

function sayOnSocket({ socket, text }: { socket: number; text: string }): Promise<object> {
  const ours = sockets.get(socket)!;
  return new Promise((resolve, reject) => {
    ours.onmessage = ({ data }) => resolve({ text: String(data) });
    ours.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
    ours.send(text);
  });
}

function closeSocket({ socket }: { socket: number }): Promise<object> {
  const ours = sockets.get(socket)!;
  return new Promise((resolve) => {
    ours.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
    ours.close(1000);
  });
}

const calls: Record<string, Call> = {
  burst,
  startLoad,
  stopLoad,
  loadSoFar,
  shell,
  openSocket,
  sayOnSocket,
  closeSocket,
  serveGrpc,
  unary,
  openStreams,
  sayOnStreams,
  closeStreams,
};
const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, op, ...args } = JSON.parse(line) as { id: number; op: string };
  const call = calls[op];
  const answer = call === undefined ? Promise.reject(new Error(`no operation ${op}`)) : call(args as never);
  answer.then(
    (result) => say({ id, result }),
    (error: unknown) => say({ id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.stdin.on('end', () => process.exit(0));
say({ event: 'ready' });
