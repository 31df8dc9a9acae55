// What an intruder may try and must not get: the proxies' own ports, other identities, other pods' tunnels, the
// authority, secrets. `docs/security.md` names these tests.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { enterCommand } from '../../src/lab/enter.ts';
import type { PodAgent } from './agent.ts';
import {
  authorizationPolicy,
  document,
  namespace,
  node1,
  node2,
  pod,
  service,
  startLab,
  type TestLab,
  twoNodes,
} from './harness.ts';
import { intrude, type TunnelOutcome } from './intruder.ts';
import { certificateOf, type RogueKind } from './rogue.ts';

const run = promisify(execFile);
const port = 8080;
const guardedPort = 9090;
const perSource = 12;
const flood = 40;
const nodeAddresses = { [node1]: '10.80.0.11', [node2]: '10.80.0.12' } as const;
const controller = '10.80.0.1';
const ownPorts = [15000, 15001, 15006, 15008, 15012, 15020, 15021] as const;
const identityOf = (account: string): string => `spiffe://cluster.local/ns/app/sa/${account}`;

const manifests =
  twoNodes +
  namespace('app') +
  namespace('outside', false) +
  pod('client', { node: node1 }) +
  pod('neighbour', { node: node1 }) +
  pod('late', { node: node1 }) +
  pod('server', { node: node2 }) +
  pod('other', { node: node2 }) +
  pod('hermit', { node: node2 }) +
  pod('plain', { node: node1, namespace: 'outside' }) +
  service('server', 80, port, { app: 'server' });

function revocation(name: string, spec: object): string {
  const metadata = { name, namespace: 'ambient-system' };
  return document({ apiVersion: 'ambient.mesh/v1alpha1', kind: 'CertificateRevocation', metadata, spec });
}

describe('security', { timeout: 170_000 }, () => {
  let lab: TestLab;
  let client: PodAgent;
  let plain: PodAgent;
  let server: PodAgent;
  const at: Record<string, string> = {};

  before(async () => {
    const limits = { handshakesPerSourceMax: perSource };
    const nodeConfig = { threads: 1, limits, timeouts: { handshake: '3s' }, log: { level: 'trace', format: 'json' } };
    lab = await startLab(manifests, { nodeConfig });
    [client, server, plain] = await Promise.all([
      lab.agent('client'),
      lab.agent('server'),
      lab.agent('plain', 'outside'),
    ]);
    await Promise.all([
      server.listen(port, { greeting: 'server;' }),
      server.listen(guardedPort, { greeting: 'server;' }),
      // Where a CONNECT that was led astray would arrive.
      ...['other', 'neighbour'].map(async (name) => (await lab.agent(name)).listen(port, { greeting: 'astray;' })),
      lab.nodeAgent(node2).then((agent) => agent.listen(port, { greeting: 'astray;' })),
    ]);
    for (const name of ['client', 'neighbour', 'server', 'other']) at[name] = await lab.addressOf(name);
    at.server6 = await lab.addressOf('server', 'app', 6);
    at.plain = await lab.addressOf('plain', 'outside');
    const [found] = await lab.client.get('Service', 'server', 'app');
    at.vip = String((found?.spec as { clusterIP?: string } | undefined)?.clusterIP);
  });
  after(() => lab?.close());

  /** What asking for a web page at `host:port` gets: a page, other bytes, or nothing. */
  async function knock(agent: PodAgent, host: string, toPort: number): Promise<'page' | 'bytes' | 'nothing'> {
    const near = await agent.connect(host, toPort).catch(() => null);
    if (near === null) return 'nothing';
    await near.write('GET / HTTP/1.0\r\n\r\n').catch(() => {});
    const { text } = await near.until('decided', (state) => state.text !== '' || state.ended || state.closed, 15_000);
    await near.reset();
    return text === '' ? 'nothing' : text.startsWith('HTTP/1') ? 'page' : 'bytes';
  }

  // ambient-l4 §3.7: what answers at all. A port that wants TLS answers a stranger with nothing.
  const forAll = { 15020: 'page', 15021: 'page' } as const;
  const targets: readonly {
    readonly to: string;
    readonly address: () => string;
    readonly answers?: typeof forAll;
  }[] = [
    { to: 'itself, by its address', address: () => at.client ?? '' },
    { to: 'loopback', address: () => '127.0.0.1' },
    { to: 'IPv6 loopback', address: () => '::1' },
    { to: 'a pod of its node', address: () => at.neighbour ?? '' },
    { to: 'a pod of another node', address: () => at.server ?? '' },
    { to: 'that pod, by IPv6', address: () => at.server6 ?? '' },
    { to: 'that pod, as mapped IPv6', address: () => `::ffff:${at.server}` },
    { to: 'its own node', address: () => nodeAddresses[node1], answers: forAll },
    { to: 'another node', address: () => nodeAddresses[node2], answers: forAll },
    { to: 'the controller', address: () => controller, answers: forAll },
  ];
  const matrix = (['a captured pod', 'a pod outside the mesh'] as const).flatMap((from) =>
    targets.map((target) => ({ from, ...target })),
  );

  for (const { from, to, address, answers } of matrix) {
    test(`ports of the proxies: ${from} to ${to}`, { timeout: 60_000 }, async () => {
      const agent = from === 'a captured pod' ? client : plain;
      const knocks = ownPorts.map(async (each) => [each, await knock(agent, address(), each)] as const);
      const expected = { ...Object.fromEntries(ownPorts.map((each) => [each, 'nothing'])), ...answers };
      assert.deepEqual(Object.fromEntries(await Promise.all(knocks)), expected);
    });
  }

  test('ports of the proxies: a captured pod to a service', { timeout: 60_000 }, async () => {
    for (const each of ownPorts) assert.equal(await knock(client, at.vip ?? '', each), 'nothing', String(each));
  });

  const tunnelAs = async (kind: RogueKind, where: 'captured' | 'outside' | 'fabric', requests: Requests) => {
    const { key, cert } = kind === 'none' ? { key: '', cert: '' } : certificateOf(lab, kind);
    const [ns, name] = where === 'captured' ? ['app', 'client'] : ['outside', 'plain'];
    const target = where === 'fabric' ? null : await lab.client.target('pod', ns, name);
    return await intrude<TunnelOutcome>(lab, target, { op: 'tunnel', host: at.server ?? '', key, cert, requests });
  };
  type Requests = readonly { readonly authority: string; readonly forwarded?: string }[];

  test('a captured pod cannot open a tunnel by itself, whatever certificate it has', { timeout: 60_000 }, async () => {
    for (const kind of ['none', 'other-ca', 'genuine'] as const) {
      const outcome = await tunnelAs(kind, 'captured', [{ authority: `${at.server}:${port}` }]);
      assert.notEqual(outcome.error, undefined, JSON.stringify(outcome));
    }
    await lab.accessRecord(node1, 'the attempt', ({ flag, source, destination }) => {
      return (
        flag === 'SELF_CALL' && source.address.startsWith(`${at.client}:`) && destination.address.endsWith(':15008')
      );
    });
  });

  test('a pod outside the mesh needs a certificate that the mesh has signed', { timeout: 60_000 }, async () => {
    for (const kind of ['none', 'other-ca', 'other-trust-domain', 'expired', 'no-spiffe'] as const) {
      const outcome = await tunnelAs(kind, 'outside', [{ authority: `${at.server}:${port}` }]);
      assert.equal(outcome.answers.length, 0, `${kind}: ${JSON.stringify(outcome)}`);
    }
  });

  test('a CONNECT goes to the pod whose certificate was shown, or nowhere', { timeout: 60_000 }, async () => {
    const rows: readonly (readonly [string, number])[] = [
      [`${at.server}:${port}`, 200],
      [`[::ffff:${at.server}]:${port}`, 200],
      [`[${at.server6}]:${port}`, 200],
      [`${at.other}:${port}`, 400],
      [`[::ffff:${at.other}]:${port}`, 400],
      [`${at.client}:${port}`, 400],
      [`${at.neighbour}:${port}`, 400],
      [`${at.plain}:${port}`, 400],
      [`${at.vip}:80`, 400],
      [`server.app.svc.cluster.local:80`, 400],
      [`127.0.0.1:${port}`, 400],
      [`[::1]:${port}`, 400],
      [`[::ffff:127.0.0.1]:15000`, 400],
      [`0.0.0.0:${port}`, 400],
      [`127.0.0.1:15000`, 400],
      [`localhost:15000`, 400],
      [`${nodeAddresses[node2]}:${port}`, 400],
      [`${nodeAddresses[node2]}:15000`, 400],
      [`${controller}:15012`, 400],
      [`169.254.169.254:80`, 400],
      [`192.0.2.1:80`, 400],
      [`${at.server}`, 400],
      [`${at.server}:0`, 400],
      ...[15001, 15006, 15008].map((each) => [`${at.server}:${each}`, 503] as const),
      // Ports of the pod itself, where nothing listens.
      ...[15000, 15012, 15020, 15021].map((each) => [`${at.server}:${each}`, 503] as const),
    ];
    const { answers, error } = await tunnelAs(
      'genuine',
      'fabric',
      rows.map(([authority]) => ({ authority })),
    );
    assert.equal(error, undefined);
    const seen = rows.map(([authority], index) => [authority, answers[index]?.status]);
    assert.deepEqual(
      seen,
      rows.map(([authority, status]) => [authority, status]),
    );
    const greetings = new Set(answers.map(({ text }) => text));
    assert.deepEqual(greetings, new Set(['server;', '']), 'no other pod and no port of the node was reached');
  });

  test('a claimed address counts only for its own identity', { timeout: 60_000 }, async () => {
    const policy = (address: string) =>
      authorizationPolicy({
        name: 'from-one-address',
        spec: {
          selector: { matchLabels: { app: 'server' } },
          action: 'ALLOW',
          rules: [
            { from: [{ source: { ipBlocks: [address] } }], to: [{ operation: { ports: [String(guardedPort)] } }] },
          ],
        },
      });
    const ask = async (claimed: string): Promise<number | undefined> => {
      const request = { authority: `${at.server}:${guardedPort}`, forwarded: `for="${claimed}:40000"` };
      const { answers } = await tunnelAs('genuine', 'fabric', [request]);
      return answers[0]?.status;
    };
    await lab.apply(policy(at.neighbour ?? ''));
    assert.equal(await ask(at.neighbour ?? ''), 401, 'an address of another identity is not believed');
    await lab.apply(policy(at.client ?? ''));
    assert.equal(await ask(at.client ?? ''), 200, 'an address of the identity that TLS has proven is');
    assert.equal(await ask(at.neighbour ?? ''), 401);
    await lab.delete(policy(at.client ?? ''));
  });

  test('a certificate that is revoked ends what runs on it and opens nothing; another takes its place', {
    timeout: 60_000,
  }, async () => {
    const serial = async (): Promise<string | undefined> => {
      const { certificates } = await lab.dump(node1);
      return certificates.find(({ identity }) => identity === identityOf('client'))?.chain[0]?.serial;
    };
    const bySerial = revocation('by-serial', { serials: [(await serial()) ?? assert.fail()] });
    const bySight = revocation('by-time', {
      identities: [{ identity: identityOf('client'), issuedBefore: new Date().toISOString() }],
    });
    for (const revoked of [bySerial, bySight]) {
      const before = await serial();
      const near = await client.connect('server', 80);
      await near.untilRead('server;', 20_000);
      await lab.apply(revoked);
      await near.untilClosed(10_000);
      assert.notEqual((await near.state()).error, null, 'a reset, no end in good order');
      // The server's proxy may hear of it first: until the client's has another certificate, it is refused.
      await untilHolds('another certificate to be in use', async () => {
        const next = await client.connect('server', 80).catch(() => null);
        const answer = next?.untilRead('server;', 1_000).then(
          () => true,
          () => false,
        );
        const isServed = (await answer) ?? false;
        await next?.reset();
        return isServed;
      });
      assert.notEqual(await serial(), before);
    }
    await lab.accessRecord(node2, 'the end of what ran', ({ flag, destination, bytesSent, bytesReceived }) => {
      return flag === 'CERT_REVOKED' && destination.workload === 'server' && bytesSent + bytesReceived > 0;
    });
    // The key that was stolen: its certificate is in date, and its authority the mesh's own.
    const { answers, error } = await tunnelAs('genuine', 'fabric', [{ authority: `${at.server}:${port}` }]);
    assert.equal(answers.length, 0, JSON.stringify(answers));
    assert.notEqual(error, undefined);
    const refused = await lab.accessRecord(node2, 'the refusal', ({ source, flag }) => {
      return flag === 'CERT_REVOKED' && source.address.startsWith(controller);
    });
    assert.match(refused.error ?? '', / was revoked by ambient-system\/by-time$/);
    await lab.delete(bySerial + bySight);
  });

  test('an address that a pod gives itself gets it no connection', { timeout: 60_000 }, async () => {
    const target = await lab.client.target('pod', 'app', 'client');
    const { command, args } = enterCommand(target, ['ip', 'addr', 'add', `${at.neighbour}/32`, 'dev', 'lo']);
    await run(command, args, { env: { ...process.env, ...target.env } });
    const attempt = { op: 'spoof', localAddress: at.neighbour ?? '', host: at.server ?? '', port } as const;
    const { outcome } = await intrude<{ outcome: string }>(lab, target, attempt);
    assert.notEqual(outcome, 'connected');
  });

  test('half-open handshakes are bounded per source, and others get in meanwhile', { timeout: 60_000 }, async () => {
    const attempts = await Promise.all(
      Array.from({ length: flood }, () => plain.connect(at.server ?? '', 15008).catch(() => null)),
    );
    const states = (): Promise<boolean[]> =>
      Promise.all(
        attempts.map(async (each) => {
          if (each === null) return true;
          const { ended, closed } = await each.state();
          return ended || closed;
        }),
      );
    await untilHolds('the rest to be reset', async () => {
      return (await states()).filter((closed) => closed).length >= flood - perSource;
    });
    const late = await lab.agent('late');
    const near = await late.connect('server', 80);
    await near.untilRead('server;', 20_000);
    await near.reset();
    const refused = await lab.accessRecord(node2, 'a refusal', ({ flag }) => flag === 'OVERLOAD');
    assert.match(refused.error ?? '', new RegExp(`handshakesPerSourceMax of ${perSource} reached by .*${at.plain}`));
    await untilHolds('the handshakes to be given up', async () => (await states()).every((closed) => closed));
    assert.match(await scrape(node2), /ambient_tunnel_server_handshakes 0\n/);
  });

  test('the authority signs for node proxies only, and each for its own node', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ambient-tokens-'));
    const system = `/proc/${lab.client.lab.hostPid}/root/run/ambient/system`;
    const audience = 'ambient-controller';
    const tokens: Readonly<Record<string, string>> = {
      node: readFileSync(path.join(system, 'nodes', node1, 'token'), 'utf8'),
      pod: await lab.client.token('app', 'client', { pod: 'client', audience }),
      account: await lab.client.token('app', 'client', { audience }),
      unbound: await lab.client.token('ambient-system', 'ambient-node', { audience }),
      audience: await lab.client.token('ambient-system', 'ambient-node', { audience: 'elsewhere' }),
      nonsense: 'nonsense',
    };
    for (const [name, token] of Object.entries(tokens)) writeFileSync(path.join(folder, name), token, { mode: 0o600 });
    const rows: readonly (readonly [string, string, boolean])[] = [
      ['node', 'client', true],
      ['node', 'neighbour', true],
      ['node', 'server', false],
      ['node', 'nobody', false],
      ['pod', 'client', false],
      ['account', 'client', false],
      ['unbound', 'client', false],
      ['audience', 'client', false],
      ['nonsense', 'client', false],
      ['', 'client', false],
    ];
    const requests = rows.map(([token, account]) => {
      return { tokenFile: token === '' ? '' : path.join(folder, token), identity: identityOf(account) };
    });
    const rootsFile = path.join(system, 'roots', 'roots.pem');
    const url = `https://${controller}:15012`;
    const attempt = { op: 'certificates', url, rootsFile, clusterId: 'Kubernetes', requests } as const;
    const { outcomes } = await intrude<{ outcomes: string[] }>(lab, null, attempt);
    rmSync(folder, { recursive: true });
    const seen = rows.map(([token, account], index) => [token, account, outcomes[index] === 'issued']);
    assert.deepEqual(seen, rows, outcomes.join('\n'));
    // A stranger learns nothing of why.
    const reasons = new Set(
      outcomes.filter((each) => each !== 'issued').map((each) => each.replace(/^.*\/sa\/\w+: /, '')),
    );
    assert.equal(reasons.size, 1, [...reasons].join('\n'));
  });

  test('no private key and no token in dumps, logs and metrics', { timeout: 60_000 }, async () => {
    const system = `/proc/${lab.client.lab.hostPid}/root/run/ambient/system`;
    const secrets: string[] = ['PRIVATE KEY'];
    for (const node of [node1, node2]) {
      secrets.push(readFileSync(path.join(system, 'nodes', node, 'token'), 'utf8').trim());
      const state = path.join(system, 'nodes', node, 'state', 'certificates.json');
      await untilHolds('the state file', () => keyLines(state).length > 0);
      secrets.push(...keyLines(state));
    }
    const files = [node1, node2].map((node) => `/proc/${lab.client.lab.hostPid}/root/run/ambient/logs/node-${node}`);
    const logs = files.flatMap((file) => [`${file}.log`, `${file}.access.log`]);
    logs.push(`/proc/${lab.client.lab.hostPid}/root/run/ambient/logs/controller.log`);
    const outputs = [
      ...logs.map((file) => readFileSync(file, 'utf8')),
      ...(await Promise.all([node1, node2].map((node) => scrape(node)))),
      JSON.stringify(await lab.dump(node1)),
      JSON.stringify(await lab.dump(node2)),
      JSON.stringify(await lab.client.admin('controller', '', '/status')),
      JSON.stringify(await lab.client.admin('controller', '', '/mesh')),
    ];
    assert(
      outputs.every((output) => output.length > 100),
      'there is something to look at',
    );
    assert(secrets.length > 6, 'there are keys to look for');
    for (const output of outputs) {
      for (const secret of secrets) assert.equal(output.includes(secret), false, `${secret.slice(0, 16)}… is shown`);
    }
  });

  test('metrics name the pods of the node and who they talk to, readiness names nobody', {
    timeout: 60_000,
  }, async () => {
    const metrics = await scrape(node1);
    assert(metrics.includes(identityOf('client')), 'pods of this node are named');
    assert.equal(metrics.includes(identityOf('hermit')), false, 'a pod of another node that nobody talked to is not');
    assert.equal(await page(node1, 15021, '/healthz/ready'), 'ready\n');
    assert.equal(await page(node1, 15021, '/healthz/live'), 'live\n');
    assert.match(await page(node1, 15021, '/'), /^(?!.*spiffe)/);
    assert.match(await page(node1, 15020, '/config_dump'), /^(?!.*spiffe)/);
  });

  const scrape = (node: string): Promise<string> => page(node, 15020, '/metrics');

  /** A page as the node itself gets it. */
  async function page(node: string, ofPort: number, name: string): Promise<string> {
    const script = `process.stdout.write(await (await fetch('http://127.0.0.1:${ofPort}${name}')).text())`;
    const { command, args } = enterCommand(await lab.client.target('node', '', node), [
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ]);
    return (await run(command, args, { maxBuffer: 1 << 24 })).stdout;
  }

  async function untilHolds(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadlineMs = performance.now() + 20_000;
    while (!(await holds())) {
      assert(performance.now() < deadlineMs, `waited 20 s for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
});

/** The lines of base64 of every private key in a state file. */
function keyLines(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  const keys = text.match(/-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----/gs) ?? [];
  return keys.flatMap((key) =>
    key
      .split('\\n')
      .filter((line) => line.length > 20 && !line.startsWith('-----'))
      .slice(-1),
  );
}
