// Who may call whom: PeerAuthentication and AuthorizationPolicy at L4, judged on real identities, at once and while
// connections live.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PodAgent, PodConnection } from './agent.ts';
import {
  authorizationPolicy,
  namespace,
  node1,
  node2,
  peerAuthentication,
  pod,
  startLab,
  type TestLab,
  takesUnder,
  twoNodes,
} from './harness.ts';

const manifests =
  twoNodes +
  namespace('app') +
  namespace('other') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('second', { node: node1 }) +
  pod('foreign', { node: node1, namespace: 'other' }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  pod('neighbour', { node: node2 }) +
  pod('server', { node: node2 });

const selector = { matchLabels: { app: 'server' } };
const clientPrincipal = 'cluster.local/ns/app/sa/client';

describe('policy', () => {
  let lab: TestLab;
  let server: PodAgent;
  let address: string;
  const agents: Record<string, PodAgent> = {};
  const port = 8080;

  before(async () => {
    lab = await startLab(manifests);
    server = await lab.agent('server');
    await Promise.all([server.listen(port), server.listen(9090)]);
    address = await lab.addressOf('server');
    for (const name of ['client', 'second', 'neighbour']) agents[name] = await lab.agent(name);
    agents.foreign = await lab.agent('foreign', 'other');
    agents.plain = await lab.agent('plain', 'outside');
  });
  after(() => lab?.close());

  /** True when a connection from `from` carries a word to the server; false when it is cut instead. */
  async function reaches(from: string, toPort = port): Promise<boolean> {
    const agent = agents[from]!;
    let connection: PodConnection;
    try {
      connection = await agent.connect(address, toPort);
    } catch (error) {
      assert.match(String(error), /ECONNRESET|ECONNREFUSED/);
      return false;
    }
    await connection.write('may I?').catch(() => {});
    const decided = new AbortController();
    const accepted = server.accepted(toPort, 5000, decided.signal).then(
      (far) => ({ far }),
      () => null,
    );
    const cut = connection.untilClosed(5000).then(
      () => 'cut' as const,
      () => null,
    );
    const first = await Promise.race([accepted, cut]);
    // A waiter that stayed behind would take the next connection from the one who waits for it.
    decided.abort();
    if (first === 'cut') return false;
    if (first === null) throw new Error(`neither accepted nor cut: ${from} to ${toPort}`);
    await first.far.untilRead('may I?');
    await connection.reset();
    await first.far.untilClosed();
    return true;
  }

  async function withPolicy(yaml: string, body: () => Promise<void>): Promise<void> {
    await lab.apply(yaml);
    try {
      await body();
    } finally {
      await lab.delete(yaml);
    }
  }

  const rows: readonly {
    readonly title: string;
    readonly policy: string;
    readonly expect: Readonly<Record<string, boolean>>;
  }[] = [
    {
      title: 'no policy allows everybody',
      policy: '',
      expect: { client: true, second: true, foreign: true, plain: true, neighbour: true },
    },
    {
      title: 'STRICT on the workload refuses plaintext and nothing else',
      policy: peerAuthentication({ name: 'strict', spec: { selector, mtls: { mode: 'STRICT' } } }),
      expect: { client: true, foreign: true, plain: false, neighbour: true },
    },
    {
      title: 'STRICT on the namespace refuses plaintext',
      policy: peerAuthentication({ name: 'default', spec: { mtls: { mode: 'STRICT' } } }),
      expect: { client: true, plain: false },
    },
    {
      title: 'STRICT on the mesh refuses plaintext',
      policy: peerAuthentication({ name: 'default', namespace: 'ambient-system', spec: { mtls: { mode: 'STRICT' } } }),
      expect: { client: true, plain: false },
    },
    {
      title: 'PERMISSIVE on the workload wins over STRICT on the namespace',
      policy:
        peerAuthentication({ name: 'default', spec: { mtls: { mode: 'STRICT' } } }) +
        peerAuthentication({ name: 'mild', spec: { selector, mtls: { mode: 'PERMISSIVE' } } }),
      expect: { client: true, plain: true },
    },
    {
      title: 'DISABLE is treated as PERMISSIVE: plaintext and the tunnel are both taken',
      policy: peerAuthentication({ name: 'off', spec: { selector, mtls: { mode: 'DISABLE' } } }),
      expect: { client: true, plain: true },
    },
    {
      title: 'ALLOW by principal refuses every other identity and plaintext',
      policy: authorizationPolicy({
        name: 'only-client',
        spec: { selector, action: 'ALLOW', rules: [{ from: [{ source: { principals: [clientPrincipal] } }] }] },
      }),
      expect: { client: true, second: false, foreign: false, plain: false, neighbour: false },
    },
    {
      title: 'DENY by principal refuses that identity only',
      policy: authorizationPolicy({
        name: 'not-client',
        spec: { selector, action: 'DENY', rules: [{ from: [{ source: { principals: [clientPrincipal] } }] }] },
      }),
      expect: { client: false, second: true, plain: true },
    },
    {
      title: 'DENY by principal on the same node refuses that identity only',
      policy: authorizationPolicy({
        name: 'not-neighbour',
        spec: {
          selector,
          action: 'DENY',
          rules: [{ from: [{ source: { principals: ['cluster.local/ns/app/sa/neighbour'] } }] }],
        },
      }),
      expect: { neighbour: false, client: true },
    },
    {
      title: 'ALLOW by namespace',
      policy: authorizationPolicy({
        name: 'own-namespace',
        spec: { selector, action: 'ALLOW', rules: [{ from: [{ source: { namespaces: ['app'] } }] }] },
      }),
      expect: { client: true, second: true, foreign: false, plain: false },
    },
    {
      title: 'DENY by notNamespaces',
      policy: authorizationPolicy({
        name: 'only-own-namespace',
        spec: { selector, action: 'DENY', rules: [{ from: [{ source: { notNamespaces: ['app'] } }] }] },
      }),
      expect: { client: true, foreign: false, plain: false },
    },
    {
      title: 'a namespace-wide ALLOW with no rule refuses everybody',
      policy: authorizationPolicy({ name: 'allow-nothing', spec: {} }),
      expect: { client: false, foreign: false, plain: false, neighbour: false },
    },
    {
      title: 'a mesh-wide DENY applies in every namespace',
      policy: authorizationPolicy({
        name: 'mesh-deny',
        namespace: 'ambient-system',
        spec: { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['other'] } }] }] },
      }),
      expect: { client: true, foreign: false },
    },
    {
      title: 'dry-run refuses nobody',
      policy: authorizationPolicy({
        name: 'rehearsal',
        annotations: { 'istio.io/dry-run': 'true' },
        spec: { selector, action: 'DENY', rules: [{}] },
      }),
      expect: { client: true, plain: true },
    },
  ];
  for (const row of rows) {
    test(row.title, { timeout: 60_000 }, async () => {
      const check = async (): Promise<void> => {
        for (const [from, expected] of Object.entries(row.expect)) {
          assert.equal(await reaches(from), expected, `${from} reaches the server`);
        }
      };
      if (row.policy === '') await check();
      else await withPolicy(row.policy, check);
    });
  }

  test('ALLOW and DENY by CIDR: the client pod itself is what is compared', { timeout: 60_000 }, async () => {
    const clientAddress = await lab.addressOf('client');
    const ipBlocks = [`${clientAddress}/32`];
    const deny = { name: 'block', spec: { selector, action: 'DENY', rules: [{ from: [{ source: { ipBlocks } }] }] } };
    await withPolicy(authorizationPolicy(deny), async () => {
      assert.deepEqual([await reaches('client'), await reaches('second')], [false, true]);
    });
    const allow = { name: 'block', spec: { selector, action: 'ALLOW', rules: [{ from: [{ source: { ipBlocks } }] }] } };
    await withPolicy(authorizationPolicy(allow), async () => {
      assert.deepEqual([await reaches('client'), await reaches('second')], [true, false]);
    });
  });

  test('ALLOW by port: the pod port decides', { timeout: 60_000 }, async () => {
    const rules = [{ to: [{ operation: { ports: ['9090'] } }] }];
    await withPolicy(authorizationPolicy({ name: 'one-port', spec: { selector, rules } }), async () => {
      assert.deepEqual([await reaches('client', 9090), await reaches('client', port)], [true, false]);
    });
  });

  test('STRICT by port leaves the other ports to plaintext', { timeout: 60_000 }, async () => {
    const spec = { selector, mtls: { mode: 'PERMISSIVE' }, portLevelMtls: { 9090: { mode: 'STRICT' } } };
    await withPolicy(peerAuthentication({ name: 'port', spec }), async () => {
      assert.deepEqual([await reaches('plain', 9090), await reaches('plain', port)], [false, true]);
      assert.equal(await reaches('client', 9090), true);
    });
  });

  test('switching to STRICT and back loses no enrolled connection, and cuts the plain one', {
    timeout: 60_000,
  }, async () => {
    const enrolled = await agents.client!.connect(address, port);
    await enrolled.write('one');
    const enrolledFar = await server.accepted(port);
    const plain = await agents.plain!.connect(address, port);
    await plain.write('one');
    const plainFar = await server.accepted(port);
    const strict = peerAuthentication({ name: 'strict', spec: { selector, mtls: { mode: 'STRICT' } } });
    await withPolicy(strict, async () => {
      await plain.untilClosed();
      await plainFar.untilClosed();
      await enrolled.write('two');
      await enrolledFar.untilRead('onetwo');
    });
    await enrolled.write('three');
    await enrolledFar.untilRead('onetwothree');
    assert.equal(await reaches('plain'), true);
    await enrolled.reset();
  });

  test('a revoked permission cuts a live connection in under 1 s', { timeout: 90_000 }, async () => {
    const deny = authorizationPolicy({
      name: 'revoked',
      spec: { selector, action: 'DENY', rules: [{ from: [{ source: { principals: [clientPrincipal] } }] }] },
    });
    const cutMs = async (): Promise<number> => {
      const near = await agents.client!.connect(address, port);
      await near.write('allowed');
      await (await server.accepted(port)).untilRead('allowed');
      const startMs = performance.now();
      const applied = lab.apply(deny);
      await near.untilClosed(20_000);
      const tookMs = performance.now() - startMs;
      await applied;
      const record = await lab.accessRecord(node2, 'the cut', (each) => each.decidedBy === 'app/revoked');
      assert.equal(record.flag, 'POLICY_CHANGE');
      await lab.delete(deny);
      await lab.client.waitInStep(20_000);
      return tookMs;
    };
    await takesUnder(1000, cutMs);
  });

  test('the peer identity is what policy sees and what the log says', { timeout: 60_000 }, async () => {
    const policy = authorizationPolicy({
      name: 'only-client',
      spec: { selector, action: 'ALLOW', rules: [{ from: [{ source: { principals: [clientPrincipal] } }] }] },
    });
    await withPolicy(policy, async () => {
      assert.deepEqual([await reaches('client'), await reaches('second')], [true, false]);
      const allowed = await lab.accessRecord(
        node2,
        'the allowed call',
        (each) => each.direction === 'inbound' && each.flag !== 'DENY' && each.decidedBy === 'app/only-client',
      );
      assert.equal(allowed.source.identity, `spiffe://${clientPrincipal}`);
      assert.equal(allowed.source.workload, 'client');
      assert.equal(allowed.destination.identity, 'spiffe://cluster.local/ns/app/sa/server');
      assert.equal(allowed.transport, 'mtls');
      const refused = await lab.accessRecord(
        node2,
        'the refused call',
        (each) => each.flag === 'DENY' && each.source.workload === 'second',
      );
      assert.equal(refused.source.identity, 'spiffe://cluster.local/ns/app/sa/second');
    });
  });

  test('an HTTP attribute that L4 cannot enforce is reported to the author and fails closed', {
    timeout: 60_000,
  }, async () => {
    const policy = authorizationPolicy({
      name: 'http-only',
      spec: { selector, action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
    });
    const result = await lab.client.apply([{ file: 'http.yaml', text: policy }]);
    const reported = [...result.refused, ...result.warnings];
    assert(
      reported.some((issue) => issue.name === 'http-only' && /methods/.test(issue.message)),
      `reported: ${JSON.stringify(reported)}`,
    );
    if (result.refused.length === 0) {
      assert.equal(await reaches('client'), false);
      await lab.delete(policy);
    }
  });
});
