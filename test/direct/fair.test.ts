// What a pod that misbehaves costs its neighbour on the same node: a tenth of its exchanges at most, be it with
// connections that do nothing or with answers that it never reads.
//
// Nodes, pods and applications share this thread: the CPU time of an exchange shows what the proxies do on account of
// the other pod, however busy the machine is. It is measured alone, beside, and alone again; where that is not enough,
// since a machine may change its mind meanwhile, there are more rounds.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pod } from '../../src/forward/testing-mesh.ts';
import { app, client, echo, until } from './support/mesh.ts';
import { type Pair, startPair } from './support/pair.ts';

const net = 39;
const hog = `127.${net}.1.9`;
const neighbours = 16;
const exchangesPerTurn = 2_000;
const turns = 3;
const roundsMax = 5;
/** Of what it can do alone. */
const wanted = 0.9;
/** Buffers are full when so long no byte has moved. */
const quietMs = 300;
const bigAnswer = Buffer.alloc(4 * 2 ** 20);

const rows: { name: string; count: number; answer: Buffer | null }[] = [
  { name: '2,000 connections that do nothing', count: 2_000, answer: null },
  { name: '200 connections that never read', count: 200, answer: bigAnswer },
];

for (const { name, count, answer } of rows) {
  test(name, async (context) => {
    const pair = await startPairWithHog(context);
    const opened: Socket[] = [];
    await app(context, pair.cart, 8080, echo);
    await app(context, pair.cart2, 8080, (socket) => {
      opened.push(socket);
      if (answer !== null) socket.write(answer);
    });
    const neighbour = await Neighbour.open(context, pair);
    await neighbour.cpuMs();
    const ratios: number[] = [];
    while (ratios.length < roundsMax && median(ratios) < wanted) {
      const before = await neighbour.cpuMs();
      const held: Socket[] = [];
      for (let at = 0; at < count; at++) held.push((await client(context, hog, pair.cart2, 8080)).pause());
      await until(() => opened.length === count, `${count} connections`);
      await untilQuiet(pair);
      const beside = await neighbour.cpuMs();
      for (const socket of [...held, ...opened.splice(0)]) socket.destroy();
      await untilGone(pair);
      ratios.push((before + (await neighbour.cpuMs())) / 2 / beside);
    }
    assert.ok(median(ratios) >= wanted, `exchanges per CPU time, of those alone: ${ratios.join(', ')}`);
  });
}

/** As `startPair`, with a second pod on n1 that calls one of its own on n2. */
function startPairWithHog(context: TestContext): Promise<Pair> {
  const config = { limits: { connectionsPerPodMax: 5_000, streamsPerSession: 100 } };
  return startPair(context, net, {
    second: { services: {} },
    mesh: { workloads: [pod('hog', 'n1', hog)] },
    n1: {
      config,
      outbound: [
        { host: `127.${net}.96.1`, port: 80 },
        { host: `127.${net}.2.4`, port: 8080 },
      ],
    },
    n2: { config },
  });
}

/** A pod with some connections, on each of which it asks as soon as it has been answered. */
class Neighbour {
  readonly #sockets: Socket[];
  #left = 0;
  #done: () => void = () => {};

  private constructor(sockets: Socket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) {
      socket.on('data', () => {
        this.#left--;
        if (this.#left > 0) socket.write('ping');
        else if (this.#left === 0) this.#done();
      });
    }
  }

  static async open(context: TestContext, { web, vip }: Pair): Promise<Neighbour> {
    const sockets = Array.from({ length: neighbours }, () => client(context, web, vip, 80));
    return new Neighbour(await Promise.all(sockets));
  }

  /** CPU time of `exchangesPerTurn` exchanges, ms; median of some turns. */
  async cpuMs(): Promise<number> {
    const found: number[] = [];
    while (found.length < turns) found.push(await this.#turn());
    return median(found);
  }

  async #turn(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#left = exchangesPerTurn;
    this.#done = resolve;
    const before = process.cpuUsage();
    for (const socket of this.#sockets) socket.write('ping');
    await promise;
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  }
}

/** Until no connection moves a byte. */
async function untilQuiet({ n1 }: Pair): Promise<void> {
  for (let last = -1; ; ) {
    const { connections } = await n1.snapshot();
    const bytes = connections.reduce((sum, each) => sum + each.bytesReceived, 0);
    if (bytes === last) return;
    last = bytes;
    await delay(quietMs);
  }
}

/** Until the neighbour's connections are the only ones. */
async function untilGone({ proxies }: Pair): Promise<void> {
  for (const proxy of proxies) {
    while ((await proxy.snapshot()).connections.length > neighbours) await delay(quietMs);
  }
}

/** 0 for none. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
