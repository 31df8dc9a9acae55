// Connects to pods from the addresses of their clients, so that applications see who calls them. One per data thread,
// between the data path and `connectTcp`; a connection that cannot have its client's address is made from the node's.
import { isIPv6 } from 'node:net';
import type { MeshError } from '../base/errors.ts';
import { clientAddressMark } from '../capture/ruleset.ts';
import type { ConnectTcpOptions } from '../io/connect-tcp.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import type { TransparentSockets } from '../io/transparent-socket.ts';
import type { ConnectTcp } from './context.ts';
import type { PodNetworks } from './pod-networks.ts';

/** Which families of client addresses are kept. */
export interface KeptFamilies {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/**
 * Local ports of these connections: below those that systems choose for their clients. The client's own connection to
 * the same pod may pass this machine too, and from the same port the two would be one to connection tracking.
 */
const firstPort = 1024;
const lastPort = 32_767;
/** A port may be listened on, or the very same connection may exist, or have ended less than a minute ago. */
const portAttempts = 8;
/** A client that has no port left towards a pod is not tried again for so long: each attempt costs as a connection. */
const exhaustedMs = 1_000;
/** Pairs of clients and pods that are remembered so; beyond it the oldest is forgotten. */
const exhaustedMax = 1_024;

type Callback = (error: MeshError | null, stream: TcpStream | null) => void;

/** `connect` is what the data path connects with; throws nothing that `connectTcp` does not. */
export class ClientAddresses {
  /** Connections made from the client's address, and those that would have been but for the kernel. */
  kept = 0;
  lost = 0;
  readonly #connect: ConnectTcp;
  readonly #sockets: Pick<TransparentSockets, 'create'> | null;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #pods: Pick<PodNetworks, 'fdOf'> | null;
  /** Until when, by client and pod. */
  readonly #exhausted = new Map<string, number>();
  #families: KeptFamilies = { ipv4: false, ipv6: false };
  #port: number;

  /** `random` 0 up to, not including, 1: data threads begin at different ports. */
  constructor(
    connect: ConnectTcp,
    sockets: Pick<TransparentSockets, 'create'> | null,
    random: () => number,
    nowMs: () => number = () => performance.now(),
    pods: Pick<PodNetworks, 'fdOf'> | null = null,
  ) {
    this.#pods = pods;
    this.#connect = connect;
    this.#sockets = sockets;
    this.#random = random;
    this.#nowMs = nowMs;
    this.#port = this.#somePort();
  }

  set(families: KeptFamilies): void {
    this.#families = families;
  }

  /**
   * As `connectTcp`; `localAddress` is a wish. Inside a pod's network: what the pod itself calls goes out by its own
   * network, and what comes to it from a client's address begins in there too. What has the node's address comes from
   * the node.
   */
  readonly connect: ConnectTcp = (options, callback) => {
    const { localAddress, inside, ...plain } = options;
    const namespace = inside === undefined ? null : (this.#pods?.fdOf(inside) ?? null);
    if (this.#pods !== null && namespace === null) return this.#connect(plain, callback);
    if (namespace !== null && localAddress === inside && options.host !== inside) {
      return this.#connectAsPod(plain, namespace, callback);
    }
    if (localAddress === undefined || !this.#mayKeep(localAddress, options.host)) return this.#connect(plain, callback);
    if (this.#isExhausted(localAddress, plain)) {
      this.lost += 1;
      return this.#connect(plain, callback);
    }
    return this.#attempt({ ...plain, localAddress }, plain, callback, namespace);
  };

  /** From the pod's own address: its network knows it by no other. */
  #connectAsPod(plain: ConnectTcpOptions, namespace: number, callback: Callback): () => void {
    const family = isIPv6(plain.host) ? 6 : 4;
    const fd = this.#sockets?.create(family, clientAddressMark, plain.isLocal, namespace) ?? null;
    if (fd === null) {
      this.lost += 1;
      return this.#connect(plain, callback);
    }
    this.kept += 1;
    return this.#connect({ ...plain, fd }, callback);
  }

  #attempt(
    kept: ConnectTcpOptions & { readonly localAddress: string },
    plain: ConnectTcpOptions,
    callback: Callback,
    namespace: number | null,
  ): () => void {
    const family = isIPv6(kept.host) ? 6 : 4;
    const make = (): number | null => this.#sockets?.create(family, clientAddressMark, kept.isLocal, namespace) ?? null;
    let attempts = 0;
    let cancel = nothing;
    const next = (): void => {
      if (attempts === portAttempts) this.#noteExhausted(kept.localAddress, kept);
      const fd = attempts++ < portAttempts ? make() : null;
      if (fd !== null) cancel = this.#connect({ ...kept, localPort: this.#nextPort(), fd }, settle);
      else giveUp();
    };
    const giveUp = (): void => {
      this.lost += 1;
      cancel = this.#connect(plain, callback);
    };
    const settle: Callback = (error, stream) => {
      const refusal = error === null ? null : refusalOf(error);
      if (error === null) this.kept += 1;
      // Elsewhere: the ports behind it may all have been used just now, by another data thread.
      if (refusal === 'port') {
        this.#port = this.#somePort();
        next();
      } else if (refusal === 'address') giveUp();
      else callback(error, stream);
    };
    next();
    return () => cancel();
  }

  #isExhausted(client: string, { host, port }: ConnectTcpOptions): boolean {
    if (this.#exhausted.size === 0) return false;
    const key = `${client} ${host} ${port}`;
    const untilMs = this.#exhausted.get(key);
    if (untilMs === undefined || this.#nowMs() < untilMs) return untilMs !== undefined;
    this.#exhausted.delete(key);
    return false;
  }

  #noteExhausted(client: string, { host, port }: ConnectTcpOptions): void {
    const [oldest] = this.#exhausted.keys();
    if (this.#exhausted.size >= exhaustedMax && oldest !== undefined) this.#exhausted.delete(oldest);
    this.#exhausted.set(`${client} ${host} ${port}`, this.#nowMs() + exhaustedMs);
  }

  #somePort(): number {
    return firstPort + Math.floor(this.#random() * (lastPort - firstPort));
  }

  #nextPort(): number {
    this.#port = this.#port >= lastPort ? firstPort : this.#port + 1;
    return this.#port;
  }

  #mayKeep(address: string, host: string): boolean {
    const six = isIPv6(address);
    if (!(six ? this.#families.ipv6 : this.#families.ipv4) || six !== isIPv6(host)) return false;
    if (address === host) return false; // a pod drops what arrives from its own address
    return !/^(127\.|::1$|fe80:)/.test(address); // a host's own, or of one link
  }
}

/** What the kernel did not let it have: the port, or the address; null when it had both, and the rest failed. */
function refusalOf(error: MeshError): 'port' | 'address' | null {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL') return 'port';
  return code === 'EINVAL' || code === 'EACCES' || code === 'EPERM' ? 'address' : null;
}

function nothing(): void {}
