// Clients and endpoints that do anything in any order: nothing throws, every request that was begun is recorded once,
// and when all of them have gone nothing is left behind: no request, no connection, no place at a breaker.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Random } from '../../../test/support/random.ts';
import { MeshError } from '../../base/errors.ts';
import { MeshIndex } from '../../model/mesh-index.ts';
import type { ServiceRoutes } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import { serviceOf, workloadOf } from '../../model/testing-mesh.ts';
import type { Workload } from '../../model/types.ts';
import type { RequestRecord } from '../../telemetry/access-record.ts';
import { RequestCounters } from '../../telemetry/request-counters.ts';
import { TestingStream } from '../h1/testing-stream.ts';
import { destinationPolicyOf } from '../testing-requests.ts';
import { ClientSession } from './client-session.ts';
import type { ConnectEndpoint } from './context.ts';
import { Engine } from './engine.ts';
import { defaultHttpLimits } from './limits.ts';
import { backendOf, cartKey, noTimeouts, retryOf, ruleOf } from './testing-service.ts';

const seeds = Number(process.env.SEEDS ?? 150);
const stepsPerSeed = 120;

const requests = [
  'GET /a HTTP/1.1\r\nhost: x\r\n\r\n',
  'POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello',
  'PUT /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  'POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc',
  'HEAD /a HTTP/1.0\r\n\r\n',
  'GET /../%00 HTTP/1.1\r\nhost: x\r\n\r\n',
  'NONSENSE\r\n\r\n',
  '\x00\xff\x16\x03',
];
const answers = [
  'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'garbage\r\n\r\n',
];

function routes(): ServiceRoutes {
  const service = serviceOf('shop/cart');
  const connectionPool = { ...destinationPolicyOf().connectionPool, maxConnections: 3, maxPendingRequests: 4 };
  const policy = destinationPolicyOf({ connectionPool });
  const rule = ruleOf({
    retry: retryOf({ attempts: 2, retryOn: ['5xx', 'reset', 'connect-failure'], backoffMaxMs: 0, backoffBaseMs: 0 }),
    timeouts: { ...noTimeouts, requestMs: 10_000 },
    mirrors: [{ backend: backendOf(), fraction: 0.2, shadowSuffix: false }],
  });
  const [plain] = defaultServiceRoutes(service).ports;
  return {
    service: cartKey,
    ports: [{ ...plain!, rules: [rule] }],
    destination: { service: cartKey, policy, portPolicies: [], subsets: [] },
    otherDestinations: [],
    serverTiming: false,
  };
}

class Scene {
  readonly random: Random;
  readonly records: RequestRecord[] = [];
  readonly clients: TestingStream[] = [];
  readonly endpoints: TestingStream[] = [];
  readonly sessions = new Set<ClientSession>();
  readonly engine: Engine;
  readonly #index = new MeshIndex();
  readonly #workloads = [1, 2].map((at) =>
    workloadOf(`shop/cart-${at}`, {
      addresses: [`10.0.0.${at}`],
      services: { [cartKey]: serviceOf('shop/cart').ports },
    }),
  );
  readonly draining = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#change(this.#workloads, true);
    const table = routes();
    this.engine = new Engine({
      index: this.#index,
      self: () => null,
      routesOf: () => table,
      connect: this.#connect,
      passThrough: (stream) => stream.destroy(),
      judge: null,
      records: { wants: () => true, request: (record) => this.records.push(record) },
      counters: new RequestCounters(),
      limits: defaultHttpLimits,
      random: () => this.random.next() / 2 ** 32,
    });
  }

  onSessionClose(session: ClientSession): void {
    this.sessions.delete(session);
  }

  step(): void {
    const { random } = this;
    const open = this.clients.filter((one) => !one.closed);
    const busy = this.endpoints.filter((one) => !one.closed);
    const what = random.below(20);
    if (what < 2 || open.length === 0) this.#newClient();
    else if (what < 10) this.#send(random.pick(open), random.pick(requests));
    else if (what === 10) random.pick(open).close(null, true);
    else if (what === 11 && random.oneIn(3))
      this.#change(random.pick([[], [0], [1], [0, 1]]).map((at) => this.#workloads[at]!));
    else if (what === 11) random.pick(open).receiveEnd();
    else if (busy.length === 0) return;
    else if (what === 12) random.pick(busy).close(null, true);
    else if (what === 13) random.pick(busy).receiveEnd();
    else if (what === 14) random.pick(busy).drain();
    else this.#send(random.pick(busy), random.pick(answers));
  }

  #change(workloads: readonly Workload[], isFirst = false): void {
    const services = [serviceOf('shop/cart')];
    const nothing = { policies: [], removedAddresses: [], removedPolicies: [], complete: true };
    this.#index.apply({ workloads, services, ...nothing });
    if (!isFirst) this.engine.meshChanged();
  }

  /** Whole, or cut short somewhere. */
  #send(stream: TestingStream, text: string): void {
    const { random } = this;
    const cut = random.oneIn(4) ? random.below(text.length) : text.length;
    stream.receive(text.slice(0, cut));
    if (cut < text.length && random.oneIn(2)) stream.receive(text.slice(cut));
  }

  #newClient(): void {
    const stream = new TestingStream();
    this.clients.push(stream);
    const session = new ClientSession(this, {
      identity: null,
      workload: null,
      address: '10.1.0.1',
      port: 1,
      service: serviceOf('shop/cart'),
      servicePort: 80,
      destinationAddress: '10.96.0.1',
      protocol: this.random.oneIn(8) ? 'unknown' : this.random.oneIn(8) ? 'http2' : 'http1',
    });
    this.sessions.add(session);
    session.begin(stream);
  }

  readonly #connect: ConnectEndpoint = (_target, callback) => {
    const fails = this.random.oneIn(6);
    let given = false;
    setImmediate(() => {
      if (given) return;
      if (fails) {
        callback(new MeshError('CONNECT_FAILED', { address: 'x', reason: 'refused' }), null);
        return;
      }
      const stream = new TestingStream();
      this.endpoints.push(stream);
      callback(null, stream);
    });
    return () => {
      given = true;
    };
  };
}

test('anything in any order leaves nothing behind', async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const scene = new Scene(seed);
    for (let at = 0; at < stepsPerSeed; at++) {
      scene.step();
      if (at % 4 === 0) await turn();
    }
    for (const client of scene.clients) client.close(null, true);
    for (let at = 0; at < 6; at++) await turn();
    const { engine } = scene;
    assert.equal(engine.live.size, 0, `seed ${seed}: requests are left`);
    assert.equal(scene.sessions.size, 0, `seed ${seed}: sessions are left`);
    // Mirrors outlive their requests: those that wait get connections still.
    for (let round = 0; round < 20; round++) {
      for (const endpoint of scene.endpoints) endpoint.close(null, true);
      for (let at = 0; at < 3; at++) await turn();
    }
    assert.equal(engine.upstreamConnections, 0, `seed ${seed}: connections are left`);
    const destination = engine.destinationOf(backendOf(), performance.now())!;
    for (const limit of ['maxConnections', 'maxPendingRequests', 'maxRequests', 'maxRetries'] as const) {
      assert.equal(destination.breakers.count(limit), 0, `seed ${seed}: ${limit}`);
    }
    assert.equal(destination.budget.active, 0, `seed ${seed}: retry budget`);
    for (const endpoint of destination.endpoints) assert.equal(endpoint.active, 0, `seed ${seed}: endpoint in use`);
    engine.close();
  }
});
