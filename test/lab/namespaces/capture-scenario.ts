// What the capture tests look at, run inside fresh namespaces by `capture.test.ts`. Prints one JSON line per row:
// {"row", "actual", "expected"}; a row is right when both are equal.
import type { CaptureVerdict } from '../../../src/capture/backend.ts';
import { type DesiredCapture, noPodLinks } from '../../../src/capture/desired.ts';
import { clientAddressRulesInPlace, HostCapture } from '../../../src/capture/host-backend.ts';
import { proveClientAddress } from '../../../src/capture/prove-client-address.ts';
import { TransparentSockets } from '../../../src/io/transparent-socket.ts';
import {
  Agent,
  gateway,
  makeNode,
  makePod,
  nodeAddress,
  type Pod,
  podCidrs,
  remotePod,
  sh,
  TestProxy,
  world,
} from './topology.ts';

const vip = { v4: '10.96.0.10', v6: 'fd00:10:96::a' } as const;
const podVip = '10.96.0.20';
const nodePort = 30080;
const hbone = 15008;

function row(name: string, actual: unknown, expected: unknown): void {
  process.stdout.write(`${JSON.stringify({ row: name, actual, expected })}\n`);
}

/** Reduces what a client was told to one word or line: who answered, and what it saw. */
function told(text: string): string {
  if (!text.startsWith('{')) return text;
  const seen = JSON.parse(text) as { role?: string; local?: string; from?: string; at?: string; sees?: string };
  return seen.role !== undefined ? `${seen.role} ${seen.local} from ${seen.from}` : `${seen.at} sees ${seen.sees}`;
}

async function dialRow(name: string, from: Agent, host: string, port: number, expected: string): Promise<void> {
  row(name, told(await from.dial(host, port)), expected);
}

/**
 * kube-proxy's part: ClusterIPs and a NodePort, both by DNAT at the usual priority, for pods and for the node itself.
 */
function makeServices(alice: Pod, legacy: Pod): void {
  const rules = [
    `ip daddr ${vip.v4} tcp dport 80 dnat ip to ${legacy.v4}:8080`,
    `ip6 daddr ${vip.v6} tcp dport 80 dnat ip6 to [${legacy.v6}]:8080`,
    `ip daddr ${podVip} tcp dport 80 dnat ip to ${alice.v4}:8080`,
    `fib daddr type local tcp dport ${nodePort} meta nfproto ipv4 dnat ip to ${alice.v4}:8080`,
    `fib daddr type local tcp dport ${nodePort} meta nfproto ipv6 dnat ip6 to [${alice.v6}]:8080`,
  ].join('\n');
  const chain = (hook: string) => `chain ${hook} { type nat hook ${hook} priority -100;\n${rules}\n}`;
  sh(`nft -f - <<'END'\ntable inet kubeproxy {\n${chain('prerouting')}\n${chain('output')}\n}\nEND`);
}

type Row = readonly [name: string, from: Agent, host: string, port: number, expected: string];

async function dialRows(rows: readonly Row[]): Promise<void> {
  for (const [name, from, host, port, expected] of rows) await dialRow(name, from, host, port, expected);
}

async function captured(alice: Pod, legacy: Pod, fresh: Pod, far: Agent, node: Agent): Promise<void> {
  for (const v of ['v4', 'v6'] as const) {
    const [a, l, f] = [alice[v], legacy[v], fresh[v]];
    const [out, self, remote] = [world[v], nodeAddress[v], remotePod[v]];
    await dialRows([
      [`pod to the world, ${v}`, alice.agent, out, 80, `outbound ${out} 80 from ${a}`],
      [`pod to a ClusterIP, before DNAT, ${v}`, alice.agent, vip[v], 80, `outbound ${vip[v]} 80 from ${a}`],
      [`world to a pod, ${v}`, far, a, 8080, `inbound ${a} 8080 from ${out}`],
      [`world to a pod by NodePort, ${v}`, far, self, nodePort, `inbound ${a} 8080 from ${out}`],
      [`tunnel to a pod, ${v}`, far, a, hbone, `hbone ${a} ${hbone} from ${out}`],
      [`first SYN of an unknown pod, ${v}`, fresh.agent, out, 80, `outbound ${out} 80 from ${f}`],
      [`first SYN to an unknown pod, ${v}`, far, f, 8080, `inbound ${f} 8080 from ${out}`],
      [`pod outside to a pod, ${v}`, legacy.agent, a, 8080, `inbound ${a} 8080 from ${l}`],
      [`pod outside to the world, ${v}`, legacy.agent, out, 80, `world sees ${l}`],
      [`world to a pod outside, ${v}`, far, l, 8080, `legacy sees ${out}`],
      [`pod to a tunnel elsewhere, ${v}`, alice.agent, remote, hbone, `outbound ${remote} ${hbone} from ${a}`],
      [`pod outside to a tunnel elsewhere, ${v}`, legacy.agent, remote, hbone, `world sees ${l}`],
      [`pod to its own node, ${v}`, alice.agent, self, 9000, `outbound ${self} 9000 from ${a}`],
    ]);
  }
  const [a, l, f] = [alice.v4, legacy.v4, fresh.v4];
  await dialRows([
    ['pod outside to a ClusterIP of a pod', legacy.agent, podVip, 80, `inbound ${a} 8080 from ${l}`],
    ['world to a ClusterIP of a pod outside', far, vip.v4, 80, `legacy sees ${world.v4}`],
    ['pod to a pod of its node', alice.agent, f, 8080, `outbound ${f} 8080 from ${a}`],
    ['pod to its link-local gateway', alice.agent, gateway, 9000, `node sees ${a}`],
    ['probe of the node to a pod', node, a, 8080, `alice sees ${gateway}`],
    ['tunnel of the node itself to a pod', node, a, hbone, `hbone ${a} ${hbone} from ${gateway}`],
  ]);
}

/** What the proxy does with a client's address; `node` runs as its user. */
async function keptAddresses(alice: Pod, legacy: Pod, far: Agent, node: Agent): Promise<void> {
  for (const v of ['v4', 'v6'] as const) {
    const [a, l, out] = [alice[v], legacy[v], world[v]];
    const proof = await proveClientAddress(v === 'v4' ? 'ipv4' : 'ipv6', TransparentSockets.load());
    row(`kept addresses are proved, ${v}`, proof, { works: true, reason: null });
    const rows = [
      ['of a pod elsewhere', out, a, 8080, `alice sees ${out}`],
      ['of a pod of this node', l, a, 8080, `alice sees ${l}`],
      ['towards a pod outside', a, l, 8080, `legacy sees ${a}`],
      ['towards the world', a, out, 80, `world sees ${a}`],
      ['by the NodePort of this node', a, nodeAddress[v], nodePort, `inbound ${a} 8080 from ${a}`],
    ] as const;
    for (const [name, from, host, port, expected] of rows) {
      row(
        `a client's address is kept ${name}, ${v}`,
        told(await node.dialFrom({ from }, host, port, name + v)),
        expected,
      );
      row(`and carries bytes ${name}, ${v}`, await node.send(name + v, 'x'.repeat(200_000)), 'echoed');
    }
    await twins(alice, legacy, node, v);
    await dialRow(`the client itself still connects, ${v}`, far, a, 8080, `inbound ${a} 8080 from ${out}`);
    await dialRow(`the pod still connects to it, ${v}`, alice.agent, out, 80, `outbound ${out} 80 from ${a}`);
  }
}

/** The client has a connection of its own from the very port that its proxy uses, before or after it. */
async function twins(alice: Pod, legacy: Pod, node: Agent, v: 'v4' | 'v6'): Promise<void> {
  const [a, l] = [alice[v], legacy[v]];
  const text = 'x'.repeat(200_000);
  for (const [fromPort, order] of [
    [3_000, 'first'],
    [3_001, 'second'],
  ] as const) {
    const own = () => legacy.agent.dialFrom({ fromPort }, a, 8080, `own${v}${order}`);
    const before = order === 'first' ? told(await own()) : '';
    const twin = told(await node.dialFrom({ from: l, fromPort }, a, 8080, `twin${v}${order}`));
    const answers = [before || told(await own()), twin];
    row(`client ${order}, from one port, ${v}`, answers, [`inbound ${a} 8080 from ${l}`, `alice sees ${l}`]);
    const both = [legacy.agent.send(`own${v}${order}`, text), node.send(`twin${v}${order}`, text)];
    row(`and both carry bytes, client ${order}, ${v}`, await Promise.all(both), ['echoed', 'echoed']);
  }
}

async function threads(proxy: TestProxy, alice: Pod): Promise<void> {
  const text = 'x'.repeat(200_000);
  await alice.agent.dial(vip.v4, 80, 'vip');
  row('a captured connection carries bytes both ways', await alice.agent.send('vip', text), 'echoed');
  proxy.killThread(0);
  await proxy.serving(0, 1);
  const seen = new Set<number>();
  for (let turn = 0; turn < 64 && seen.size < 2; turn++) {
    const answer = await alice.agent.dial(world.v4, 80);
    if (!answer.startsWith('{')) throw new Error(`after a thread died a client got ${answer}`);
    seen.add((JSON.parse(answer) as { thread: number }).thread);
  }
  row('a thread that died is replaced on a spare descriptor', [...seen].sort(), [0, 1]);
}

async function closed(alice: Pod, legacy: Pod, fresh: Pod, far: Agent): Promise<void> {
  for (const v of ['v4', 'v6'] as const) {
    await dialRow(`proxy down, pod to the world, ${v}`, alice.agent, world[v], 80, 'ECONNREFUSED');
    await dialRow(`proxy down, pod to a ClusterIP, ${v}`, alice.agent, vip[v], 80, 'ECONNREFUSED');
    await dialRow(`proxy down, unknown pod to the world, ${v}`, fresh.agent, world[v], 80, 'ECONNREFUSED');
    await dialRow(`proxy down, world to a pod, ${v}`, far, alice[v], 8080, 'ECONNREFUSED');
    await dialRow(`proxy down, world to a pod by NodePort, ${v}`, far, nodeAddress[v], nodePort, 'ECONNREFUSED');
    await dialRow(`proxy down, tunnel to a pod, ${v}`, far, alice[v], hbone, 'ECONNREFUSED');
    await dialRow(`proxy down, pod outside to the world, ${v}`, legacy.agent, world[v], 80, `world sees ${legacy[v]}`);
  }
  row('proxy down, a connection of before is cut', await alice.agent.send('kept', 'secret'), 'NOT_OPEN');
}

function state(verdict: CaptureVerdict): string {
  return verdict.state;
}

async function drift(capture: HostCapture, desired: DesiredCapture): Promise<void> {
  const tampering = {
    'the table deleted': 'nft delete table inet ambient',
    'a chain flushed': 'nft flush chain inet ambient after_dnat',
    'a pod smuggled into the bypass': 'nft add element inet ambient bypass4 { 10.244.1.10 }',
    'the ip rule deleted': 'ip rule del fwmark 0x539 lookup 539',
    'the IPv6 route deleted': 'ip -6 route flush table 539',
  };
  for (const [name, line] of Object.entries(tampering)) {
    sh(line);
    const found = state(await capture.verify());
    await capture.apply(desired);
    row(`drift is found and mended: ${name}`, [found, state(await capture.verify())], ['drifted', 'intact']);
  }
  const later = new HostCapture(Date.now() + 60_000);
  await later.apply(desired);
  row('a proxy that started later owns the rules', state(await capture.verify()), 'superseded');
  const mine = { ...desired, bypass: [...desired.bypass, '10.244.1.77'] };
  await capture.apply(mine);
  row(
    'and the earlier one still keeps the bypass',
    sh('nft list set inet ambient bypass4').includes('10.244.1.77'),
    true,
  );
  row('without taking over', sh('nft list table inet ambient').match(/owner_/g)?.length, 1);
}

async function main(): Promise<void> {
  makeNode();
  const far = new Agent('world', [80, hbone]);
  const node = new Agent('', [9000]);
  const alice = makePod('alice', 10, [8080]);
  const legacy = makePod('legacy', 20, [8080]);
  const fresh = makePod('fresh', 30, [8080]);
  makeServices(alice, legacy);
  const ports = { outbound: 15001, inbound: 15006, hbone };
  const bypass = [legacy.v4, legacy.v6].sort();
  const desired: DesiredCapture = { podCidrs, bypass, links: noPodLinks, ports, failOpen: false };
  const capture = new HostCapture(Date.now());
  const proxy = new TestProxy();
  await Promise.all([far.ready(), node.ready(), alice.agent.ready(), legacy.agent.ready(), fresh.agent.ready()]);
  await Promise.all([proxy.serving(0, 0), proxy.serving(1, 0)]);
  await dialRow('before capture', alice.agent, world.v4, 80, `world sees ${alice.v4}`);
  row('no rules of an earlier proxy', await clientAddressRulesInPlace(), false);
  await capture.apply(desired);
  row('the rules are found by the next proxy', await clientAddressRulesInPlace(), true);
  row('verified after apply', state(await capture.verify()), 'intact');
  await captured(alice, legacy, fresh, far, node);
  await keptAddresses(alice, legacy, far, node);
  await threads(proxy, alice);

  await fresh.agent.dial(world.v4, 80, 'kept');
  await capture.apply({ ...desired, bypass: [...bypass, fresh.v4].sort() });
  row('released into the bypass, a running connection goes on', await fresh.agent.send('kept', 'still here'), 'echoed');
  await dialRow('released into the bypass, a new one is direct', fresh.agent, world.v4, 80, `world sees ${fresh.v4}`);
  await capture.apply(desired);
  await dialRow('taken out of the bypass', fresh.agent, world.v4, 80, `outbound ${world.v4} 80 from ${fresh.v4}`);
  await drift(capture, desired);

  await alice.agent.dial(world.v4, 80, 'kept');
  await proxy.killProcess();
  await closed(alice, legacy, fresh, far);
  const open = new HostCapture(Date.now() + 120_000);
  await open.apply({ ...desired, failOpen: true });
  await dialRow('proxy down with failOpen', alice.agent, world.v4, 80, `world sees ${alice.v4}`);
  await open.remove();
  await open.remove();
  const routes = sh('ip route show table 539 2>&1; ip -6 route show table 539 2>&1; true');
  const left = `${sh('nft list tables')}${sh('ip rule; ip -6 rule')}${routes}`;
  row('removed without a trace', left.match(/ambient|0x539|local default/g), null);
  await dialRow('after removal', alice.agent, world.v4, 80, `world sees ${alice.v4}`);
  process.exit(0);
}

await main();
