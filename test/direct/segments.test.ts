// Where the time of a request went: client's node, waypoint and endpoint's node with real tunnels between them. Each
// segment is delayed in turn, and the delay is seen in its figure and in no other.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { pod, port, service, update } from '../../src/forward/testing-mesh.ts';
import { defaultHttpLimits } from '../../src/http/exchange/limits.ts';
import { defaultServiceRoutes } from '../../src/model/routes/route-defaults.ts';
import { nodeThread } from '../../src/node/data-thread.ts';
import type { RequestRecord, RequestSegments } from '../../src/telemetry/access-record.ts';
import { waypointThread } from '../../src/waypoint/data-thread.ts';
import { appPortShift, hbonePort, TestNode } from './support/mesh.ts';
import { startPair } from './support/pair.ts';

const net = 53;
const key = 'shop/wp.shop.svc.cluster.local';
const identity = 'spiffe://cluster.local/ns/shop/sa/wp';
const hostname = { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' };
/** Where the waypoint finds tunnels of endpoints: a link that can be slow stands in between. */
const linkPort = 15009;
const delayMs = 400;
const names = ['clientProxy', 'wire', 'waypoint', 'destinationProxy', 'application'] as const;

interface Asked {
  readonly record: RequestRecord;
  /** As the client saw it. */
  readonly elapsedMs: number;
}

interface Delays {
  link: number;
  connect: number;
  application: number;
}

/** Passes bytes on, each way as late as `delays.link` says at the time. */
async function slowLink(context: TestContext, delays: Delays, at: string, port: number, to: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: to, port: hbonePort, allowHalfOpen: true });
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      context.after(() => from.destroy());
      from.on('error', () => into.destroy());
      from.on('close', () => into.destroy());
      from.on('data', (chunk) => setTimeout(() => into.write(chunk), delays.link));
      from.on('end', () => setTimeout(() => into.end(), delays.link));
    }
  });
  await new Promise<void>((resolve) => server.listen(port, at, resolve));
  context.after(() => void server.close());
}

async function application(context: TestContext, delays: Delays, address: string): Promise<void> {
  const server = createHttpServer((request, response) => {
    // A connection per request where connecting is what takes long.
    response.shouldKeepAlive = delays.connect === 0;
    request.resume().on('end', () => setTimeout(() => response.end(request.url), delays.application));
  });
  await new Promise<void>((resolve) => server.listen(8080 + appPortShift, address, resolve));
  context.after(() => void server.close());
}

async function setUp(context: TestContext) {
  const delays: Delays = { link: 0, connect: 0, application: 0 };
  const address = `127.${net}.3.4`;
  const behind = `127.${net}.3.5`;
  const wp = new TestNode(context, 'wp', {
    podCidrs: [],
    hbone: [{ host: behind, port: hbonePort }],
    assemble: waypointThread,
    config: { ports: { hbone: linkPort } },
    more: { waypoint: { namespace: 'shop', name: 'wp' }, identity, addresses: [address], http: defaultHttpLimits },
  });
  const vip = `127.${net}.96.1`;
  const ports = [{ servicePort: 80, targetPort: 8080, appProtocol: 'http1' as const }];
  const cartService = service('cart', vip, ports, { waypoint: { hostname, hbonePort: 15008 } });
  const wpPod = pod('wp', 'n3', address, { nativeTunnel: true, services: { [key]: [port(15008, hbonePort)] } });
  const services = [cartService, service('wp', `127.${net}.96.9`, [port(15008, hbonePort)])];
  const pair = await startPair(context, net, {
    mesh: { workloads: [wpPod], services },
    n2: {
      assemble: (dial) =>
        nodeThread((options, callback) => {
          let cancel = (): void => {};
          const timer = setTimeout(() => {
            cancel = dial(options, callback);
          }, delays.connect);
          return () => {
            clearTimeout(timer);
            cancel();
          };
        }),
    },
  });
  await wp.apply(update({ workloads: [pair.webPod, pair.cartPod, wpPod], services, complete: true }));
  await wp.serving;
  await slowLink(context, delays, address, hbonePort, behind);
  await slowLink(context, delays, pair.cart, linkPort, pair.cart);
  await application(context, delays, pair.cart);
  let asked = 0;
  const ask = async (from = pair.web, serverTiming = false): Promise<Asked> => {
    const path = `/${++asked}`;
    const startedAtMs = performance.now();
    const headers = await new Promise<NodeJS.Dict<unknown>>((resolve, reject) => {
      const options = { host: vip, port: 80, path, localAddress: from, agent: false } as const;
      const request = httpRequest(options, (response) => {
        response.resume().on('end', () => resolve(response.headers));
      });
      request.on('error', reject).end();
    });
    const elapsedMs = performance.now() - startedAtMs;
    if (serverTiming) assert.match(String(headers['server-timing']), timingPattern);
    const records = (await wp.recorded(asked)) as unknown as RequestRecord[];
    return { record: records.find((record) => record.path === path)!, elapsedMs };
  };
  const routes = { ...defaultServiceRoutes(cartService), serverTiming: true };
  return { ...pair, wp, delays, ask, routes };
}

const timed = ['client-proxy', 'wire', 'waypoint', 'destination-proxy', 'application'];
const timingPattern = new RegExp(`^${timed.map((name) => `${name};dur=[\\d.]+`).join(', ')}$`);

/** All five figures in ms; NaN when one is missing. */
function sumOf(segmentsMs: RequestSegments): number {
  return names.reduce((total, name) => total + (segmentsMs[name] ?? Number.NaN), 0);
}

/** They add up to what the client has seen; `slow` has taken `ms` and more, no other nearly as much. */
function check(what: string, { record, elapsedMs }: Asked, slow: keyof RequestSegments | null, ms = delayMs): void {
  const { segmentsMs, durationMs } = record;
  const said = `${what}: ${JSON.stringify(segmentsMs)}, ${durationMs} in all, ${elapsedMs} for the client`;
  for (const name of names) {
    const figure = segmentsMs[name];
    assert.ok(figure !== null && figure >= 0, said);
    // Timers may fire a little early.
    if (name === slow) assert.ok(figure >= ms - 3, said);
    else assert.ok(figure < delayMs / 2, said);
  }
  assert.ok(Math.abs(sumOf(segmentsMs) - durationMs) < 1, said);
  assert.ok(durationMs < elapsedMs + 5, said);
}

/** A machine that stands still for a moment spoils what is measured: one of a few requests has to be as it should. */
async function seen(
  what: string,
  ask: () => Promise<Asked>,
  slow: keyof RequestSegments | null,
  ms = delayMs,
): Promise<void> {
  for (let left = 4; ; left--) {
    const asked = await ask();
    try {
      check(what, asked, slow, ms);
      return;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

test('each segment is delayed in turn, and seen in its figure alone', async (context) => {
  const { n1, wp, delays, ask, routes } = await setUp(context);
  await seen('nothing is delayed', ask, null);

  delays.application = delayMs;
  await seen('the application', ask, 'application');
  delays.application = 0;

  delays.connect = delayMs;
  await ask();
  await seen('the proxy of the destination', ask, 'destinationProxy');
  delays.connect = 0;
  await ask();

  const rules = routes.ports[0]!.rules.map((rule) => ({
    ...rule,
    fault: { delay: { fraction: 1, delayMs }, abort: null },
  }));
  await wp.apply(update({ routes: [{ ...routes, ports: [{ ...routes.ports[0]!, rules }] }] }));
  await seen('the waypoint', () => ask(undefined, true), 'waypoint');
  await wp.apply(update({ routes: [routes] }));

  // The client's proxy hears of its pod late, and holds its connection until then.
  let pods = 0;
  const askLate = async (): Promise<Asked> => {
    const address = `127.${net}.1.${10 + pods++}`;
    const answer = ask(address, true);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await n1.apply(update({ workloads: [pod(`late${pods}`, 'n1', address, { serviceAccount: 'web' })] }));
    return answer;
  };
  await seen('the proxy of the client', askLate, 'clientProxy');

  // Twice to open the tunnel's stream, once for the request, twice at the second hop; the answer's own way back to the
  // client is no part of the record.
  delays.link = delayMs / 4;
  await seen('the wire', ask, 'wire', (5 * delayMs) / 4);
  delays.link = 0;
  await seen('nothing is delayed any more', ask, null);

  const { requests = [] } = await wp.snapshot();
  for (const name of names) {
    const sum = requests.reduce((total, { segments }) => total + (segments[name]?.sumMs ?? 0), 0);
    assert.ok(sum >= delayMs - 3, `${name}: ${sum} ms in all`);
  }
});

test('requests that share a connection: the application is theirs, and the sum holds', async (context) => {
  const { wp, delays, vip, web } = await setUp(context);
  delays.application = delayMs;
  const createConnection = (): Socket => connect({ host: vip, port: 80, localAddress: web });
  const session = connectHttp2('http://cart', { createConnection });
  // The proxy may be gone before it; what goes wrong earlier fails the requests.
  session.on('error', () => undefined);
  context.after(() => session.destroy());
  const count = 20;
  for (let round = 1, seen = false; !seen; round++) {
    await Promise.all(
      Array.from({ length: count }, (_, at) => once(session.request({ ':path': `/${at}` }).resume(), 'end')),
    );
    const records = (await wp.recorded(round * count)).slice(-count) as unknown as RequestRecord[];
    seen = records.every(({ segmentsMs }) => segmentsMs.application! > sumOf(segmentsMs) / 2);
    for (const { segmentsMs, durationMs, protocol } of records) {
      assert.equal(protocol, 'http2');
      assert.ok(Math.abs(sumOf(segmentsMs) - durationMs) < 1, JSON.stringify(segmentsMs));
      // A busy machine stands still at times: in one round of five it does not.
      assert.ok(seen || round < 5, JSON.stringify(segmentsMs));
    }
  }
});
