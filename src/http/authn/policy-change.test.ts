// Policy that changes while requests run: those that it lets in no longer end, each in its own way, and the others
// notice nothing. Over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  createServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JwtRule, ServiceRoutes } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import { jwtRuleOf } from '../../model/testing-jwt.ts';
import { policyOf } from '../../model/testing-mesh.ts';
import type { Policy } from '../../model/types.ts';
import type { RequestRecord } from '../../telemetry/access-record.ts';
import { cartKey, cartService, type Scene, type SceneOptions, sceneOf } from '../exchange/testing-service.ts';
import { fetchText } from './fetch-text.ts';
import { KeySets } from './key-sets.ts';
import { PolicyJudge } from './request-judge.ts';
import { TokenVerifier } from './token-verifier.ts';

const timeout = { timeout: 20_000 };
const deny = (path: string): Policy => policyOf('shop/no', 'deny', [{ paths: [{ kind: 'exact', value: path }] }]);
const cut = ['POLICY_CHANGE', 'shop/no', 'closed because policy changed: shop/no'];

interface Guarded extends Scene {
  /** From now on these hold. */
  setPolicies(policies: readonly Policy[], jwtRules?: readonly JwtRule[]): void;
}

async function guardedScene(t: TestContext, options: SceneOptions, nowMs = Date.now): Promise<Guarded> {
  let routes: ServiceRoutes = defaultServiceRoutes(cartService);
  const verifier = new TokenVerifier(new KeySets(fetchText));
  const judge = new PolicyJudge({ routesOf: (key) => (key === cartKey ? routes : null), verifier, now: nowMs });
  const scene = await sceneOf(t, { ...options, context: { judge } });
  const setPolicies: Guarded['setPolicies'] = (policies, jwtRules = []) => {
    routes = { ...defaultServiceRoutes(cartService), policies, jwtRules };
    scene.service.policiesChanged();
  };
  return Object.assign(scene, { setPolicies });
}

async function recordOf({ records }: Scene, path: string): Promise<RequestRecord> {
  for (;;) {
    const found = records.find((record) => record.path === path);
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const told = ({ flag, decidedBy, error }: RequestRecord) => [flag, decidedBy, error];

/** Begins to answer and goes on when told, by the path. */
function slowly(): { listener: RequestListener; go: Map<string, () => void> } {
  const go = new Map<string, () => void>();
  const listener: RequestListener = (request, response) => {
    request.resume();
    response.write('begun ');
    go.set(request.url ?? '', () => response.end('whole'));
  };
  return { listener, go };
}

/** A connection that has sent a head; `got` has what came. */
async function opened(t: TestContext, port: number, head: string): Promise<{ socket: Socket; got: () => string }> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(head);
  return { socket, got: () => text };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test('HTTP/1.1: an answer under way is reset, another goes on', timeout, async (t) => {
  const { listener, go } = slowly();
  const scene = await guardedScene(t, { endpoints: [listener] });
  const get = (path: string) => opened(t, scene.port, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const [bad, good] = [await get('/bad'), await get('/good')];
  await until(() => bad.got().includes('begun') && good.got().includes('begun'));
  scene.setPolicies([policyOf('shop/other', 'deny', [{ paths: [{ kind: 'exact', value: '/other' }] }])]);
  scene.setPolicies([deny('/bad')]);
  await until(() => bad.socket.closed);
  assert.equal(bad.got().includes('0\r\n\r\n'), false);
  const record = await recordOf(scene, '/bad');
  assert.deepEqual([...told(record), record.status], [...cut, 200]);
  go.get('/good')!();
  await until(() => good.got().endsWith('0\r\n\r\n'));
  assert.deepEqual(told(await recordOf(scene, '/good')), ['-', null, null]);
});

test('a request without an answer yet, and one that is held up, are answered with 403', timeout, async (t) => {
  let arrived = 0;
  const silent: RequestListener = () => {
    arrived++;
  };
  const scene = await guardedScene(t, { endpoints: [silent] });
  const asked = scene.ask('/bad', { method: 'POST', body: 'something' });
  await until(() => arrived === 1);
  scene.setPolicies([deny('/bad')]);
  assert.deepEqual([(await asked).status, (await asked).body], [403, 'RBAC: access denied']);
  assert.deepEqual(told(await recordOf(scene, '/bad')), cut);
  const fault = { delay: { fraction: 1, delayMs: 3_600_000 }, abort: null };
  const delayed = await guardedScene(t, { endpoints: [silent], rule: { fault } });
  const held = delayed.ask('/bad');
  await until(() => delayed.service.stats().requests === 1);
  delayed.setPolicies([deny('/bad')]);
  assert.equal((await held).status, 403);
  assert.deepEqual([told(await recordOf(delayed, '/bad')), arrived], [cut, 1]);
});

test('a WebSocket is cut', timeout, async (t) => {
  const server = createHttpServer();
  server.on('upgrade', (_request, socket: Socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello');
    socket.pipe(socket);
  });
  const scene = await guardedScene(t, { endpoints: [server] });
  const upgrade = (path: string) =>
    opened(t, scene.port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`);
  const [bad, good] = [await upgrade('/bad'), await upgrade('/good')];
  await until(() => bad.got().endsWith('hello') && good.got().endsWith('hello'));
  scene.setPolicies([deny('/bad')]);
  await until(() => bad.socket.closed);
  assert.deepEqual(told(await recordOf(scene, '/bad')), cut);
  good.socket.write(' there');
  await until(() => good.got().endsWith('hello there'));
});

interface Call {
  readonly stream: ClientHttp2Stream;
  readonly trailers: Promise<readonly [status: string, message: string]>;
}

async function streamingCall(session: ClientHttp2Session, path: string, headers = {}): Promise<Call> {
  const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ...grpc, ':path': path, ...headers });
  const trailers = new Promise<readonly [string, string]>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('trailers', (got) => resolve([String(got['grpc-status']), String(got['grpc-message'] ?? '')]));
  });
  trailers.catch(() => undefined);
  stream.write('one');
  const [chunk] = (await once(stream, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'one');
  return { stream, trailers };
}

async function grpcScene(t: TestContext, nowMs?: () => number) {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  const scene = await guardedScene(t, { endpoints: [server], protocol: 'grpc' }, nowMs);
  const session = connectHttp2(`http://127.0.0.1:${scene.port}`);
  t.after(() => session.destroy());
  return { scene, session };
}

async function goesOn({ stream, trailers }: Call): Promise<void> {
  stream.end('two');
  assert.deepEqual(await trailers, ['0', '']);
}

test('gRPC: a call under way is told PERMISSION_DENIED, another on its session goes on', timeout, async (t) => {
  const { scene, session } = await grpcScene(t);
  const [bad, good] = [await streamingCall(session, '/shop/Bad'), await streamingCall(session, '/shop/Good')];
  scene.setPolicies([deny('/shop/Bad')]);
  assert.deepEqual(await bad.trailers, ['7', 'RBAC: access denied']);
  const record = await recordOf(scene, '/shop/Bad');
  assert.deepEqual([...told(record), record.grpcStatus], [...cut, 7]);
  await goesOn(good);
});

test('of many calls on one session, those that are refused end', timeout, async (t) => {
  const { scene, session } = await grpcScene(t);
  const calls = await Promise.all(
    Array.from({ length: 90 }, (_, at) => streamingCall(session, at % 2 === 0 ? '/shop/Bad' : '/shop/Good')),
  );
  scene.setPolicies([deny('/shop/Bad')]);
  const ended = calls.filter((_, at) => at % 2 === 0).map(({ trailers }) => trailers);
  for (const [status] of await Promise.all(ended)) assert.equal(status, '7');
  assert.equal(scene.service.stats().requests, 45);
  await Promise.all(calls.filter((_, at) => at % 2 === 1).map(goesOn));
});

test('a token that was believed at the head counts for as long as its rule is there', timeout, async (t) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] });
  const issuer = 'https://id.example';
  let nowMs = Date.UTC(2026, 0, 1);
  const exp = nowMs / 1000 + 60;
  const token = (sub: string) =>
    new SignJWT({ iss: issuer, sub, exp }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
  const allow = (sub: string) =>
    policyOf('shop/who', 'allow', [{ requestPrincipals: [{ kind: 'exact', value: `${issuer}/${sub}` }] }]);
  const rule = jwtRuleOf({ jwks });
  const { scene, session } = await grpcScene(t, () => nowMs);
  scene.setPolicies([allow('ann'), allow('bob')], [rule]);
  const as = async (sub: string) =>
    streamingCall(session, `/shop/${sub}`, { authorization: `Bearer ${await token(sub)}` });
  const [ann, bob, late] = [await as('ann'), await as('bob'), await as('ann')];
  nowMs += 3_600_000;
  scene.setPolicies([allow('ann')], [{ ...rule }, jwtRuleOf({ issuers: ['https://other'], jwks })]);
  assert.deepEqual(await bob.trailers, ['7', 'RBAC: access denied']);
  await goesOn(ann);
  // Nobody believes it any more, so that policy knows of no principal.
  scene.setPolicies([allow('ann')], []);
  assert.deepEqual(await late.trailers, ['7', 'RBAC: access denied']);
});
