import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { ConnectTcpOptions } from '../io/connect-tcp.ts';
import type { TcpStream } from '../io/tcp-stream.ts';
import { ClientAddresses } from './client-address.ts';

const pod = { host: '10.244.1.2', port: 8080, timeoutMs: 1_000 };
const client = '10.244.2.9';
const stream = {} as TcpStream;

function refusal(code: string): MeshError {
  return new MeshError('CONNECT_FAILED', { reason: code }, { cause: Object.assign(new Error(code), { code }) });
}

const zero = (): number => 0;

/** Connects with a kernel that gives `answers` one after the other, then success; returns what it was asked for. */
function connectWith(
  options: ConnectTcpOptions,
  answers: MeshError[],
  { families = { ipv4: true, ipv6: true }, sockets = true, random = zero, nowMs = zero } = {},
) {
  const asked: ConnectTcpOptions[] = [];
  const results: (MeshError | null)[] = [];
  let fds = 100;
  const addresses = new ClientAddresses(
    (each, callback) => {
      asked.push(each);
      const error = answers.shift() ?? null;
      callback(error, error === null ? stream : null);
      return () => {};
    },
    sockets ? { create: () => fds++ } : null,
    random,
    nowMs,
  );
  addresses.set(families);
  addresses.connect(options, (error) => results.push(error));
  return { addresses, asked, results };
}

test('a connection is made from the address of the client, from a port that is no client port', () => {
  const { asked, results, addresses } = connectWith({ ...pod, localAddress: client }, []);
  assert.deepEqual(asked, [{ ...pod, localAddress: client, localPort: 1025, fd: 100 }]);
  assert.deepEqual([results, addresses.kept, addresses.lost], [[null], 1, 0]);
  const last =
    connectWith({ ...pod, localAddress: client }, [], { random: () => 0.999_999_9 }).asked[0]?.localPort ?? 0;
  assert.ok(last >= 1024 && last < 32_768, `${last}`);
});

const without: { name: string; localAddress?: string; host?: string; ipv4?: boolean }[] = [
  { name: 'no client address is wished for' },
  { name: 'the family is switched off', localAddress: client, ipv4: false },
  { name: 'the families differ', localAddress: 'fd00::9' },
  { name: 'the pod calls itself', localAddress: pod.host },
  { name: 'the address is of one link', localAddress: 'fe80::1', host: 'fd00::2' },
  { name: 'the address is a loopback', localAddress: '127.0.0.1' },
];
for (const { name, localAddress, host = pod.host, ipv4 = true } of without) {
  test(`from the node's own address when ${name}`, () => {
    const options = { ...pod, host, ...(localAddress === undefined ? {} : { localAddress }) };
    const { asked, addresses } = connectWith(options, [], { families: { ipv4, ipv6: true } });
    assert.deepEqual(asked, [{ ...pod, host }]);
    assert.deepEqual([addresses.kept, addresses.lost], [0, 0]);
  });
}

test('a port that is in use is followed by one elsewhere, on a new socket', () => {
  const taken = [refusal('EADDRINUSE'), refusal('EADDRNOTAVAIL')];
  const places = [0, 0.5, 0.25];
  const random = () => places.shift() ?? 0;
  const { asked, addresses } = connectWith({ ...pod, localAddress: client }, taken, { random });
  const tried = asked.map(({ localPort, fd }) => [localPort, fd]);
  assert.deepEqual(tried, [
    [1025, 100],
    [16_896, 101],
    [8_960, 102],
  ]);
  assert.deepEqual([addresses.kept, addresses.lost], [1, 0]);
});

test('when no port is to be had, from the node, and it is counted', () => {
  const taken = Array.from({ length: 8 }, () => refusal('EADDRINUSE'));
  const { asked, addresses } = connectWith({ ...pod, localAddress: client }, taken);
  assert.equal(asked.length, 9);
  assert.deepEqual(asked.at(-1), pod);
  assert.deepEqual([addresses.kept, addresses.lost], [0, 1]);
});

test('a client without a port towards a pod is left alone for a second, others are not', () => {
  let nowMs = 0;
  const taken = Array.from({ length: 8 }, () => refusal('EADDRNOTAVAIL'));
  const { asked, addresses } = connectWith({ ...pod, localAddress: client }, taken, { nowMs: () => nowMs });
  const keeps = (localAddress: string, port: number): boolean => {
    const before = asked.length;
    addresses.connect({ ...pod, port, localAddress }, () => {});
    assert.equal(asked.length, before + 1);
    return asked.at(-1)?.localAddress !== undefined;
  };
  assert.deepEqual([keeps(client, pod.port), keeps(client, 9090), keeps('10.244.2.8', pod.port)], [false, true, true]);
  nowMs = 999;
  assert.equal(keeps(client, pod.port), false);
  nowMs = 1_000;
  assert.equal(keeps(client, pod.port), true);
  assert.deepEqual([addresses.kept, addresses.lost], [3, 3]);
});

test('when the kernel refuses the address, or no socket can be made, from the node at once', () => {
  for (const [answers, sockets] of [
    [[refusal('EPERM')], true],
    [[], false],
  ] as const) {
    const { asked, results, addresses } = connectWith({ ...pod, localAddress: client }, [...answers], { sockets });
    assert.deepEqual(asked.at(-1), pod);
    assert.deepEqual([results, addresses.kept, addresses.lost], [[null], 0, 1]);
  }
});

test('a pod that refuses is not asked twice', () => {
  const refused = refusal('ECONNREFUSED');
  const { asked, results } = connectWith({ ...pod, localAddress: client }, [refused]);
  assert.equal(asked.length, 1);
  assert.deepEqual(results, [refused]);
});

test('who gives up, gives up the attempt under way', () => {
  let cancelled = 0;
  const addresses = new ClientAddresses(
    () => () => {
      cancelled += 1;
    },
    { create: () => 7 },
    () => 0,
  );
  addresses.set({ ipv4: true, ipv6: true });
  addresses.connect({ ...pod, localAddress: client }, () => {})();
  assert.equal(cancelled, 1);
});
