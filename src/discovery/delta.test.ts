// The discovery server and client against each other over loopback TLS, and the server against a raw client that
// behaves as ztunnel does.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { systemClock } from '../base/clock.ts';
import { CertificateAuthority } from '../identity/certificate-authority.ts';
import { workloadOf } from '../model/testing-mesh.ts';
import type { MeshUpdate, Policy, Service, Workload } from '../model/types.ts';
import { AsyncQueue } from './async-queue.ts';
import { openChannel } from './channel.ts';
import { DiscoveryClient, type DiscoveryClientOptions } from './delta-client.ts';
import { DiscoveryServer } from './delta-server.ts';
import {
  AggregatedDiscoveryService,
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from './generated/ads_pb.ts';
import type { ProxyNode } from './proxy-node.ts';
import type { RefusedResource } from './refusals.ts';
import { encodePolicy, encodeWorkload, typeUrls } from './resources.ts';
import { RpcServer } from './rpc-server.ts';

const node: ProxyNode = {
  kind: 'node',
  name: 'ambient-node-a',
  namespace: 'ambient-system',
  nodeName: 'a',
  addresses: ['10.80.0.11'],
  clusterId: 'Kubernetes',
  version: '0.1.0',
};

function workload(name: string, change: Partial<Workload> = {}): Workload {
  return workloadOf(`shop/${name}`, { addresses: ['10.244.1.7'], node: 'a', ...change });
}

function policy(name: string, change: Partial<Policy> = {}): Policy {
  return { name, namespace: 'shop', scope: 'workload', action: 'deny', rules: [], dryRun: false, ...change };
}

function change(parts: Partial<MeshUpdate>): MeshUpdate {
  return {
    workloads: [],
    services: [],
    policies: [],
    removedAddresses: [],
    removedPolicies: [],
    complete: false,
    ...parts,
  };
}

async function serve(context: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-delta-'));
  const authority = new CertificateAuthority({ dir, trustDomain: 'cluster.local', clock: systemClock });
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer(['127.0.0.1'], keys.publicKey, 3_600_000);
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const rootsFile = path.join(dir, 'roots.pem');
  writeFileSync(rootsFile, authority.rootsPem().join(''));
  const tokenFile = path.join(dir, 'token');
  writeFileSync(tokenFile, 'good\n');
  let missed = true;
  const pushes: number[] = [];
  const build = (): DiscoveryServer =>
    new DiscoveryServer({
      clock: systemClock,
      authenticate: (headers) => {
        if (headers.get('authorization') !== 'Bearer good') throw new ConnectError('', Code.Unauthenticated);
        return (claimed) => claimed as ProxyNode;
      },
      observer: { pushed: (_typeUrl, resources) => pushes.push(resources), answered: () => {} },
      isExpected: () => missed,
    });
  let discovery = build();
  let port = 0;
  const listen = async (): Promise<RpcServer> => {
    const routes = (router: Parameters<DiscoveryServer['routes']>[0]): void => discovery.routes(router);
    const server = new RpcServer({ host: '127.0.0.1', port, credentials: { keyPem, chainPem }, routes });
    port = (await server.start()).port;
    return server;
  };
  let server = await listen();
  context.after(async () => {
    discovery.close();
    await server.close(100);
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    discovery: () => discovery,
    url: `https://127.0.0.1:${port}`,
    rootsFile,
    tokenFile,
    rootsPem: authority.rootsPem().join(''),
    pushes,
    forgetMissed: () => {
      missed = false;
    },
    /** Ends the controller, as a restart does; the mesh has to be given to the new one. */
    stop: async () => {
      discovery.close();
      await server.close(50);
    },
    startAgain: async (update: MeshUpdate) => {
      discovery = build();
      discovery.update(update);
      server = await listen();
    },
  };
}

type Fixture = Awaited<ReturnType<typeof serve>>;

/** A client whose changes can be awaited one by one. */
function follow(context: TestContext, fixture: Fixture, options: Partial<DiscoveryClientOptions> = {}) {
  const updates = new AsyncQueue<MeshUpdate>();
  const iterator = updates[Symbol.asyncIterator]();
  const refusals: RefusedResource[] = [];
  const { url, rootsFile, tokenFile } = fixture;
  const apply = (update: MeshUpdate): readonly RefusedResource[] => {
    updates.push(update);
    return refusals.splice(0);
  };
  const fixed = { url, rootsFile, tokenFile, node, held: {}, apply, clock: systemClock, random: Math.random };
  const client = new DiscoveryClient({ ...fixed, ...options });
  context.after(() => client.close());
  const synced = once(client, 'synced');
  synced.catch(() => {}); // only those who await it mind
  const next = async (): Promise<MeshUpdate> => {
    const item = await iterator.next();
    assert.ok(item.done !== true);
    return item.value;
  };
  /** The next change that is not empty. */
  const nextChange = async (): Promise<MeshUpdate> => {
    for (;;) {
      const update = await next();
      const { complete: _, ...lists } = update;
      if (Object.values(lists).some((list) => list.length > 0)) return update;
    }
  };
  return { client, synced, next, nextChange, refusals };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never happened: ${what}`);
}

const timeout = { timeout: 20_000 };

test('the whole mesh arrives, policies first, and the proxy shows in step', timeout, async (context) => {
  const fixture = await serve(context);
  const shop: Service = {
    name: 'web',
    namespace: 'shop',
    hostname: 'web.shop.svc.cluster.local',
    addresses: ['10.96.0.9'],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'http1' }],
    subjectAltNames: [],
    waypoint: null,
    loadBalancing: null,
    ipFamilies: 'automatic',
    canonical: true,
    visibility: 'public',
  };
  const mesh = { workloads: [workload('web')], policies: [policy('deny')], nodes: [{ name: 'a', podCidrs: [] }] };
  fixture.discovery().update(change({ ...mesh, services: [shop] }));
  const { client, synced, next } = follow(context, fixture);
  client.start();
  assert.deepEqual((await next()).revocations, [], 'what was revoked comes before all');
  assert.deepEqual((await next()).nodes, mesh.nodes, 'then where pods are');
  const first = await next();
  assert.deepEqual([first.policies.length, first.workloads.length], [1, 0], 'policies come first');
  const second = await next();
  assert.deepEqual(second.workloads, [workload('web')]);
  assert.deepEqual(second.services, [shop]);
  await synced;
  assert.equal(client.state().synced, true);
  assert.equal(client.state().connected, true);
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
  const [view] = fixture.discovery().proxies();
  assert.deepEqual([view?.ready, view?.node], [true, 'a']);
  assert.equal(view?.behindSince, null);
  assert.deepEqual(
    view?.types.map((type) => [type.type, type.refused.length]),
    [
      ['ambient.mesh.v1alpha1.CertificateRevocation', 0],
      ['ambient.mesh.v1alpha1.NodeNetwork', 0],
      ['istio.security.Authorization', 0],
      ['istio.workload.Address', 0],
    ],
  );
});

test('two runs of one proxy overlap; the one that stays is shown', timeout, async (context) => {
  const fixture = await serve(context);
  fixture.discovery().update(change({ workloads: [workload('web')] }));
  const old = follow(context, fixture, { node: { ...node, instance: '1' } });
  old.client.start();
  await old.synced;
  let ends = 0;
  old.client.on('state', ({ connected }) => {
    if (!connected) ends += 1;
  });
  const fresh = follow(context, fixture, { node: { ...node, instance: '2' } });
  fresh.client.start();
  await fresh.synced;
  fixture.discovery().update(change({ workloads: [workload('cart')] }));
  await Promise.all(
    [old, fresh].map(async ({ nextChange }) => {
      while ((await nextChange()).workloads[0]?.name !== 'cart');
    }),
  );
  assert.deepEqual([ends, fixture.discovery().proxies().length], [0, 1]);
  await fresh.client.close();
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'the one that stays is in step');
});

test('an empty mesh is a complete one', timeout, async (context) => {
  const fixture = await serve(context);
  const { client, synced } = follow(context, fixture);
  client.start();
  await synced;
});

test('changes close together go out as one, and only what changed', timeout, async (context) => {
  const fixture = await serve(context);
  fixture.discovery().update(change({ workloads: [workload('a'), workload('b'), workload('c')] }));
  const { client, synced, nextChange } = follow(context, fixture);
  client.start();
  await synced;
  await nextChange();
  fixture.discovery().update(change({ workloads: [workload('b', { healthy: false })] }));
  assert.equal(fixture.discovery().proxies()[0]?.inStep, false, 'behind from the moment of the change');
  fixture.discovery().update(change({ workloads: [workload('a')], removedAddresses: [workload('c').uid] }));
  const update = await nextChange();
  assert.deepEqual(
    update.workloads.map((one) => one.name),
    ['b'],
  );
  assert.deepEqual(update.removedAddresses, [workload('c').uid]);
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step again');
});

test('a policy goes after the workload that named it, and comes before', timeout, async (context) => {
  const fixture = await serve(context);
  fixture.discovery().update(change({ workloads: [workload('a')] }));
  const { client, synced, nextChange } = follow(context, fixture);
  client.start();
  await nextChange();
  await synced;
  const named = workload('a', { policies: ['shop/p'] });
  fixture.discovery().update(change({ workloads: [named], policies: [policy('p')] }));
  assert.equal((await nextChange()).policies.length, 1);
  assert.deepEqual((await nextChange()).workloads, [named]);
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
  fixture.discovery().update(change({ workloads: [workload('a')], removedPolicies: ['shop/p'] }));
  assert.deepEqual((await nextChange()).workloads, [workload('a')]);
  assert.deepEqual((await nextChange()).removedPolicies, ['shop/p']);
});

test('a policy that turns to selected workloads judges its namespace until they name it', timeout, async (context) => {
  const fixture = await serve(context);
  const held = { workloads: [workload('a')], policies: [policy('p', { scope: 'namespace' })] };
  fixture.discovery().update(change(held));
  const { client, synced, nextChange } = follow(context, fixture);
  client.start();
  await nextChange();
  await nextChange();
  await synced;
  const named = workload('a', { policies: ['shop/p', 'shop/q'] });
  fixture.discovery().update(change({ workloads: [named], policies: [policy('p'), policy('q')] }));
  assert.deepEqual((await nextChange()).policies, [policy('q')], 'one that it has not got comes first');
  assert.deepEqual((await nextChange()).workloads, [named]);
  assert.deepEqual((await nextChange()).policies, [policy('p')]);
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
  // The same while the proxy was away: what it holds may be wide.
  await fixture.stop();
  const rest = workload('a', { policies: ['shop/p'] });
  await fixture.startAgain(change({ workloads: [rest], policies: [policy('q'), policy('p', { dryRun: true })] }));
  assert.deepEqual((await nextChange()).workloads, [rest]);
  assert.deepEqual((await nextChange()).policies, [policy('p', { dryRun: true })]);
});

test('after a restart of the controller only differences and removals are sent', timeout, async (context) => {
  const fixture = await serve(context);
  const many = Array.from({ length: 50 }, (_, index) => workload(`w${index}`));
  fixture.discovery().update(change({ workloads: many, policies: [policy('p')] }));
  const { client, synced, nextChange } = follow(context, fixture);
  client.start();
  await nextChange();
  await nextChange();
  await synced;
  await fixture.stop();
  await until(() => client.state().connected === false, 'the loss is seen');
  assert.equal(client.state().synced, true, 'what it has stays');
  assert.match(client.state().lastError ?? '', /./);
  fixture.pushes.length = 0;
  const changed = workload('w1', { healthy: false });
  await fixture.startAgain(change({ workloads: [changed, ...many.slice(2)], policies: [policy('p')] }));
  const update = await nextChange();
  assert.deepEqual(update.workloads, [changed]);
  assert.deepEqual(update.removedAddresses, [many[0]?.uid]);
  await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
  assert.deepEqual(fixture.pushes, [0, 0, 0, 2]);
});

test('a restarted proxy that held everything on disk gets nothing again', timeout, async (context) => {
  const fixture = await serve(context);
  fixture.discovery().update(change({ workloads: [workload('a')], policies: [policy('p')] }));
  const first = follow(context, fixture);
  first.client.start();
  await first.synced;
  const held = JSON.parse(JSON.stringify(first.client.heldVersions()));
  await first.client.close();
  fixture.pushes.length = 0;
  const second = follow(context, fixture, { held });
  second.client.start();
  await second.synced;
  assert.deepEqual(fixture.pushes, [0, 0, 0, 0]);
});

test(
  'what a proxy refuses shows by name with its reason until it is mended; the rest is applied',
  timeout,
  async (context) => {
    const fixture = await serve(context);
    const { client, synced, nextChange, refusals } = follow(context, fixture);
    client.start();
    await synced;
    refusals.push({ resource: 'shop/p', reason: 'too many rules' });
    fixture.discovery().update(change({ policies: [policy('p'), policy('q')] }));
    await nextChange();
    const refused = () => fixture.discovery().proxies()[0]?.types[2]?.refused ?? [];
    await until(() => refused().length > 0, 'the refusal shows');
    assert.deepEqual(refused(), [{ resource: 'shop/p', reason: 'too many rules' }]);
    const [view] = fixture.discovery().proxies();
    assert.equal(view?.inStep, false);
    assert.match(view?.behindSince ?? '', /^20/);
    assert.equal(client.heldVersions()[typeUrls.authorization]?.['shop/q'], encodePolicy(policy('q')).version);
    fixture.discovery().update(change({ policies: [policy('p', { action: 'allow' })] }));
    await nextChange();
    await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
    assert.deepEqual(refused(), []);
  },
);

test(
  'revocations come before all else, and one that cannot be read leaves the earlier one',
  timeout,
  async (context) => {
    const fixture = await serve(context);
    const { client, synced, nextChange } = follow(context, fixture);
    const stolen = { namespace: 'ambient-system', name: 'stolen', serials: ['7f'], identities: [] };
    fixture.discovery().update(change({ workloads: [workload('a')], revocations: [stolen] }));
    client.start();
    assert.deepEqual((await nextChange()).revocations, [stolen]);
    assert.equal((await nextChange()).workloads.length, 1);
    await synced;
    const applied = client.heldVersions()[typeUrls.revocation];
    assert.deepEqual(Object.keys(applied ?? {}), ['ambient-system/stolen']);
    fixture.discovery().update(change({ revocations: [{ ...stolen, serials: ['not one'] }] }));
    const refused = () => fixture.discovery().proxies()[0]?.types[0]?.refused ?? [];
    await until(() => refused().length > 0, 'the refusal shows');
    assert.equal(refused()[0]?.resource, 'ambient-system/stolen');
    assert.deepEqual(client.heldVersions()[typeUrls.revocation], applied);
    fixture.discovery().update(change({ removedRevocations: ['ambient-system/stolen'] }));
    assert.deepEqual((await nextChange()).removedRevocations, ['ambient-system/stolen']);
    await until(() => fixture.discovery().proxies()[0]?.inStep === true, 'in step');
  },
);

test('a mesh of 5,000 workloads comes in pages, and is complete only with the last', timeout, async (context) => {
  const fixture = await serve(context);
  const many = Array.from({ length: 5_000 }, (_, index) => workload(`w${index}`));
  fixture.discovery().update(change({ workloads: many }));
  let seen = 0;
  const apply = (update: MeshUpdate): readonly RefusedResource[] => {
    seen += update.workloads.length;
    return [];
  };
  const { client, synced } = follow(context, fixture, { apply });
  client.start();
  await synced;
  assert.equal(seen, 5_000);
  assert.deepEqual(fixture.pushes, [0, 0, 0, 2_000, 2_000, 1_000]);
});

test(
  'a client without a good token never gets in, comes back by itself, and gets in once the token is good',
  timeout,
  async (context) => {
    const fixture = await serve(context);
    writeFileSync(fixture.tokenFile, 'stolen');
    const { client, synced } = follow(context, fixture);
    client.start();
    await until(() => client.state().lastError !== null, 'refused');
    assert.deepEqual(fixture.discovery().proxies(), []);
    writeFileSync(fixture.tokenFile, 'good');
    await synced;
  },
);

test('a controller with a certificate of another root is not believed', timeout, async (context) => {
  const fixture = await serve(context);
  const other = await serve(context);
  const { client } = follow(context, fixture, { rootsFile: other.rootsFile });
  client.start();
  await until(() => client.state().lastError !== null, 'refused');
  assert.match(client.state().lastError ?? '', /certificate/);
  assert.deepEqual(fixture.discovery().proxies(), []);
});

test('a proxy that has gone is missed until nobody expects it', timeout, async (context) => {
  const fixture = await serve(context);
  const { client, synced } = follow(context, fixture);
  client.start();
  await synced;
  await client.close();
  await until(() => fixture.discovery().connected === 0, 'gone');
  const [view] = fixture.discovery().proxies();
  assert.deepEqual([view?.ready, view?.inStep], [false, false]);
  fixture.forgetMissed();
  assert.deepEqual(fixture.discovery().proxies(), []);
});

/** A raw stream, spoken as ztunnel speaks it. */
async function rawStream(context: TestContext, fixture: Fixture) {
  const channel = await openChannel(fixture.url, fixture.rootsPem);
  const requests = new AsyncQueue<DeltaDiscoveryRequest>();
  context.after(() => {
    requests.end();
    channel.close();
  });
  const client = createClient(AggregatedDiscoveryService, channel.transport);
  const responses = client
    .deltaAggregatedResources(requests, { headers: { authorization: 'Bearer good' } })
    [Symbol.asyncIterator]();
  const next = async (): Promise<DeltaDiscoveryResponse> => {
    const item = await responses.next();
    assert.ok(item.done !== true);
    return item.value;
  };
  const send = (parts: Partial<DeltaDiscoveryRequest>): void => {
    requests.push(create(DeltaDiscoveryRequestSchema, parts as object));
  };
  return { next, send };
}

test(
  'a ztunnel-like client: one response at a time, a refusal in words, and by whatever name it asks',
  timeout,
  async (context) => {
    const fixture = await serve(context);
    fixture.discovery().update(change({ workloads: [workload('a')] }));
    const { next, send } = await rawStream(context, fixture);
    send({ typeUrl: typeUrls.address });
    const first = await next();
    assert.equal(first.typeUrl, typeUrls.address);
    assert.equal(first.resources[0]?.name, workload('a').uid);
    assert.equal(first.resources[0]?.version, encodeWorkload(workload('a')).version);
    assert.deepEqual(first.resources[0]?.aliases, ['/10.244.1.7']);
    fixture.discovery().update(change({ workloads: [workload('b')] }));
    fixture.discovery().update(change({ workloads: [workload('b', { healthy: false })] }));
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(fixture.pushes.length, 1, 'nothing more before the answer');
    send({ typeUrl: typeUrls.address, responseNonce: 'of another stream' });
    send({
      typeUrl: typeUrls.address,
      responseNonce: first.nonce,
      errorDetail: { code: 3, message: 'a: bad' } as never,
    });
    const second = await next();
    assert.deepEqual(
      second.resources.map((one) => one.name),
      [workload('b').uid],
    );
    assert.deepEqual(fixture.discovery().proxies()[0]?.types[0]?.refused, [{ resource: '*', reason: 'a: bad' }]);
    send({ typeUrl: typeUrls.address, responseNonce: second.nonce });
    send({ typeUrl: typeUrls.address, resourceNamesSubscribe: [workload('a').uid, 'nobody'] });
    const third = await next();
    assert.deepEqual(
      third.resources.map((one) => one.name),
      [workload('a').uid],
    );
    assert.deepEqual(third.removedResources, ['nobody']);
  },
);
