// The network of the capture tests: a node with routed pods and a world behind it, all inside the namespaces that the
// test process was started in, so that they vanish with it.
//
//   alice, legacy, fresh (pods) ── veth ── node (this process) ── veth ── world (10.80.0.99)
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

export const nodeAddress = { v4: '10.80.0.11', v6: 'fd80::11' } as const;
export const world = { v4: '10.80.0.99', v6: 'fd80::99' } as const;
/** A pod of another node; it lives in the world. */
export const remotePod = { v4: '10.244.2.40', v6: 'fd00:10:244:2::40' } as const;
export const gateway = '169.254.1.1';
export const podCidrs = ['10.244.1.0/24', 'fd00:10:244:1::/64'] as const;

export interface Pod {
  readonly v4: string;
  readonly v6: string;
  readonly agent: Agent;
}

/** Runs a command line; throws with what it said when it fails. */
export function sh(line: string): string {
  return execFileSync('/bin/sh', ['-c', line], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Prepares the node's own namespace: a private /run for namespace names, forwarding, an uplink to the world. */
export function makeNode(): void {
  sh('mount -t tmpfs tmpfs /run && mkdir -p /run/netns');
  sh('ip link set lo up');
  for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) sh(`echo 1 > /proc/sys/${key}`);
  sh('ip netns add world && ip link add uplink type veth peer name eth0 netns world');
  sh(`ip addr add ${nodeAddress.v4}/24 dev uplink && ip -6 addr add ${nodeAddress.v6}/64 dev uplink nodad`);
  sh('ip link set uplink up');
  const w = 'ip -n world';
  sh(`${w} link set lo up && ${w} addr add ${world.v4}/24 dev eth0 && ${w} -6 addr add ${world.v6}/64 dev eth0 nodad`);
  sh(`${w} link set eth0 up && ${w} addr add ${remotePod.v4}/32 dev lo && ${w} -6 addr add ${remotePod.v6}/128 dev lo`);
  sh(`${w} route add default via ${nodeAddress.v4} && ${w} -6 route add default via ${nodeAddress.v6}`);
  sh(`ip route add 10.244.2.0/24 via ${world.v4} && ip -6 route add fd00:10:244:2::/64 via ${world.v6}`);
}

/** Makes a pod on a routed veth, as the usual network plugins do: the host's side has a fixed link-local gateway. */
export function makePod(name: string, number: number, ports: readonly number[]): Pod {
  const v4 = `10.244.1.${number}`;
  const v6 = `fd00:10:244:1::${number}`;
  const p = `ip -n ${name}`;
  sh(`ip netns add ${name} && ip link add h-${name} type veth peer name eth0 netns ${name}`);
  sh(`ip addr add ${gateway}/32 dev h-${name} && ip link set h-${name} up`);
  sh(`ip -6 addr add fe80::1/64 dev h-${name} nodad`);
  sh(`${p} link set lo up && ${p} addr add ${v4}/32 dev eth0 && ${p} -6 addr add ${v6}/128 dev eth0 nodad`);
  sh(`${p} link set eth0 up && ${p} route add ${gateway} dev eth0 && ${p} route add default via ${gateway} dev eth0`);
  sh(`${p} -6 route add default via fe80::1 dev eth0 && ip route add ${v4}/32 dev h-${name}`);
  sh(`ip -6 route add ${v6}/128 dev h-${name}`);
  return { v4, v6, agent: new Agent(name, ports) };
}

interface Answer {
  readonly id?: number;
  readonly listening?: number;
  readonly text?: string;
  readonly error?: string;
}

/** A process in a network namespace that connects and listens on our behalf. */
export class Agent {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #ports: number;
  #listening = 0;
  #onReady: (() => void) | null = null;
  #nextId = 1;

  /** `namespace` '' is the node's own. */
  constructor(namespace: string, ports: readonly number[]) {
    const enter = namespace === '' ? [] : ['ip', 'netns', 'exec', namespace];
    const script = new URL('./agent.ts', import.meta.url).pathname;
    const [command = '', ...args] = [...enter, process.execPath, script, namespace || 'node', ...ports.map(String)];
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.pipe(process.stderr);
    this.#ports = ports.length;
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onAnswer(JSON.parse(line) as Answer));
  }

  /** Resolves when every port is open. */
  ready(): Promise<void> {
    if (this.#listening === this.#ports) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onReady = resolve;
    });
  }

  /** Connects and returns the first line it was sent, or the error code. */
  async dial(host: string, port: number, hold?: string): Promise<string> {
    return this.#ask({ host, port, ...(hold === undefined ? {} : { hold }) });
  }

  /** As `dial`, from a port, and from an address that may be another's. */
  async dialFrom(source: { from?: string; fromPort?: number }, host: string, port: number, hold: string) {
    return this.#ask({ host, port, hold, ...source });
  }

  /** Sends on a connection that was held; `echoed` when the same came back, or the error code. */
  send(on: string, text: string): Promise<string> {
    return this.#ask({ on, text });
  }

  #ask(command: object): Promise<string> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, (answer) => resolve(answer.text ?? answer.error ?? ''));
      this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  #onAnswer(answer: Answer): void {
    if (answer.listening !== undefined) {
      this.#listening += 1;
      if (this.#listening === this.#ports) this.#onReady?.();
    } else if (answer.id !== undefined) {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    }
  }
}

/** The launcher with the listener process of the test behind it, two threads on the real ports. */
export class TestProxy {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lives = new Map<number, number>();
  readonly #changed = new EventEmitter();

  constructor() {
    const launcher = new URL('../../../native-free/launcher.pl', import.meta.url).pathname;
    const listener = new URL('./listener.ts', import.meta.url).pathname;
    const listen = ['outbound=15001', 'inbound=15006', 'hbone=15008'].flatMap((pair) => ['--listen', pair]);
    const args = [launcher, '--threads', '2', '--spares', '2', ...listen, '--', process.execPath, listener];
    this.#child = spawn('perl', args, {
      stdio: ['pipe', 'pipe', 'inherit'],
    }) as unknown as ChildProcessWithoutNullStreams;
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { serving, life } = JSON.parse(line) as { serving: number; life: number };
      this.#lives.set(serving, life);
      this.#changed.emit('life');
    });
  }

  /** Resolves when thread `thread` serves in its life number `life` or a later one. */
  async serving(thread: number, life: number): Promise<void> {
    while ((this.#lives.get(thread) ?? -1) < life) await once(this.#changed, 'life');
  }

  killThread(thread: number): void {
    this.#child.stdin.write(`die ${thread}\n`);
  }

  async killProcess(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
    await delay(20); // the kernel closes the listeners of a killed process after its exit is reported
  }
}
