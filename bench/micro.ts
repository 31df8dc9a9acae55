// `npm run bench -- micro`: the functions that every byte or every connection passes, one by one, in this process.
import { CidrTable } from '../src/base/cidr-table.ts';
import { canonicalIp, parseCidr } from '../src/base/ip.ts';
import { Connection } from '../src/forward/connection.ts';
import { EdgeRecorder } from '../src/forward/edge-recorder.ts';
import { FrameParser, type FrameSink } from '../src/h2/frame-parser.ts';
import { largestPayloadBytes, writeData } from '../src/h2/frame-writer.ts';
import { HpackDecoder } from '../src/h2/hpack-decoder.ts';
import { HpackEncoder } from '../src/h2/hpack-encoder.ts';
import { composeRequest } from '../src/http/h1/compose.ts';
import { Framing } from '../src/http/h1/framing.ts';
import { takeLines } from '../src/http/h1/head-lines.ts';
import { HeadParser } from '../src/http/h1/head-parser.ts';
import { type H1RequestHead, readRequestHead } from '../src/http/h1/heads.ts';
import { defaultH1Limits } from '../src/http/h1/limits.ts';
import { OutQueue } from '../src/io/out-queue.ts';
import { MeshIndex } from '../src/model/mesh-index.ts';
import type { Policy } from '../src/model/types.ts';
import { evaluate } from '../src/policy/evaluate.ts';
import { jsonLine } from '../src/telemetry/access-log.ts';
import { EdgeCounters } from '../src/telemetry/edge-counters.ts';
import { newTraceparent } from '../src/tunnel/traceparent.ts';
import { describeMachine, type Report } from './report.ts';
import { meshOf, serviceAddress, workloadAddress } from './scale-mesh.ts';
import { spreadOf } from './statistics.ts';

/** Calls per measurement: about 50 ms each. */
const callsOf = { fast: 500_000, slow: 50_000 } as const;
const chunkBytes = 16_000;

interface Case {
  readonly name: string;
  readonly calls: number;
  /** Returns something that depends on its work, so that it is done. */
  readonly run: (turn: number) => number;
}

/** Runs every case `rounds` times; one row per function, `nsPerCall` as its metric. */
export function runMicro(options: { readonly rounds: number; readonly quick: boolean }): Report<'nsPerCall'> {
  const { rounds, quick } = options;
  const startedAt = new Date().toISOString();
  const rows = cases().map(({ name, calls, run }) => {
    const count = quick ? calls / 5 : calls;
    measure(run, count);
    const nsPerCall = spreadOf(Array.from({ length: rounds }, () => measure(run, count)));
    return { path: name, metrics: { nsPerCall }, socketErrors: 0 };
  });
  return {
    name: 'micro',
    machine: describeMachine(),
    node: process.version,
    startedAt,
    rounds,
    quick,
    rows,
    leftOut: [],
  };
}

function measure(run: Case['run'], calls: number): number {
  let sum = 0;
  const startedMs = performance.now();
  for (let turn = 0; turn < calls; turn++) sum += run(turn);
  const ns = ((performance.now() - startedMs) * 1e6) / calls;
  if (Number.isNaN(sum)) throw new TypeError('a case does no work');
  return ns;
}

function cases(): readonly Case[] {
  return [...wireCases(), ...httpCases(), ...connectionCases()];
}

function wireCases(): readonly Case[] {
  const chunk = Buffer.alloc(chunkBytes, 'x');
  const out = new OutQueue();
  const drain = (): number => {
    let bytes = 0;
    for (let slab = out.next(); slab !== null; slab = out.next()) {
      bytes += slab.length;
      out.settle();
    }
    return bytes;
  };
  writeData(out, 1, chunk, 0, chunk.length, largestPayloadBytes);
  const wire = Buffer.from(out.next() ?? []);
  out.settle();
  const limits = { maxFrameBytes: 16_384, headerBlockBytes: 16_384, continuations: 8 };
  const parser = new FrameParser(new NullSink(), limits);
  const encoder = new HpackEncoder();
  const headers = [
    ':method',
    'CONNECT',
    ':authority',
    '10.244.2.7:8080',
    'baggage',
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web,service.version=v1',
    'forwarded',
    'for=10.244.1.7:41234;proto=tcp',
    'traceparent',
    newTraceparent(),
  ];
  const block = Buffer.from(encoder.encode(headers));
  const decoder = new HpackDecoder(4_096, 16_384);
  return [
    {
      name: `frame written, ${chunkBytes} B`,
      calls: callsOf.slow,
      run: () => {
        writeData(out, 1, chunk, 0, chunk.length, largestPayloadBytes);
        return drain();
      },
    },
    { name: `frame parsed, ${chunkBytes} B`, calls: callsOf.fast, run: () => parser.parse(wire) },
    { name: 'HPACK encoded, CONNECT', calls: callsOf.slow, run: () => encoder.encode(headers).length },
    { name: 'HPACK decoded, CONNECT', calls: callsOf.slow, run: () => decoder.decode(block).length },
    { name: 'traceparent', calls: callsOf.fast, run: () => newTraceparent().length },
  ];
}

/** One request head with 13 headers: found, understood, and composed for an endpoint. */
function httpCases(): readonly Case[] {
  const head = Buffer.from(
    `GET /api/v1/products?page=2&sort=price HTTP/1.1\r\n${[
      'Host: catalogue.shop.svc.cluster.local:8080',
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
      'Accept: text/html,application/xhtml+xml,application/json;q=0.9',
      'Accept-Encoding: gzip, deflate, br',
      'Accept-Language: en-GB,en;q=0.5',
      'Cache-Control: no-cache',
      'Connection: keep-alive',
      'Cookie: session=2f1c9c0a7be04d55; theme=dark',
      'Referer: https://shop.example.com/catalogue',
      'X-Forwarded-For: 203.0.113.7',
      'X-Forwarded-Proto: https',
      'X-Request-Id: 6f3a8c1e-4b0d-4a57-9d5e-2f8f0f1a7c33',
      'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ].join('\r\n')}\r\n\r\n`,
  );
  const parser = new HeadParser(defaultH1Limits, true);
  const framing = new Framing();
  const lines = takeLines();
  const read = (): H1RequestHead => {
    lines.reset();
    lines.memory = head;
    parser.parse(lines, head.length);
    framing.read(lines, defaultH1Limits);
    return readRequestHead(lines, framing) as H1RequestHead;
  };
  const parsed = read();
  const changes = { remove: ['referer'], set: [['x-request-id', '1234'] as const], add: [['x-a', 'b'] as const] };
  const all = { ...changes, method: null, target: null, authority: null };
  return [
    {
      name: 'HTTP/1.1 head of 13 headers, parsed',
      calls: callsOf.fast,
      run: () => {
        lines.reset();
        lines.memory = head;
        return parser.parse(lines, head.length);
      },
    },
    { name: 'the same, with framing and target', calls: callsOf.fast, run: () => read().headBytes },
    {
      name: 'the same, composed as it came',
      calls: callsOf.fast,
      run: () => composeRequest(parsed, null).bytes.length,
    },
    { name: 'the same, with three changes', calls: callsOf.fast, run: () => composeRequest(parsed, all).bytes.length },
  ];
}

function connectionCases(): readonly Case[] {
  const index = new MeshIndex();
  index.apply(meshOf({ workloads: 500, services: 50, policies: 20 }));
  const source = index.workloadByAddress(workloadAddress(1));
  const destination = index.workloadByAddress(workloadAddress(120));
  if (source === null || destination === null) throw new TypeError('the generated mesh has changed');
  const connection = new Connection(
    '0-1',
    'outbound',
    { address: workloadAddress(1), port: 41_234, workload: source, identity: 'spiffe://cluster.local/ns/a/sa/a' },
    { address: workloadAddress(120), port: 8_080, workload: destination, identity: 'spiffe://cluster.local/ns/b/sa/b' },
  );
  const recorder = new EdgeRecorder(new EdgeCounters());
  const effective = { policies: Array.from({ length: 100 }, (_, at) => policyAt(at)), missing: [] };
  const facts = {
    sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/web-99',
    sourceIp: '10.0.0.2',
    destinationIp: '10.0.1.3',
    destinationPort: 8_080,
  };
  const cidrs = new CidrTable<number>();
  for (let at = 0; at < 1_000; at++) cidrs.set(parseCidr(`10.${at >> 8}.${at & 255}.0/24`)!, at);
  return [
    {
      name: 'address of a socket, mapped',
      calls: callsOf.fast,
      run: (turn) => (canonicalIp(`::ffff:10.0.1.${turn & 255}`) ?? '').length,
    },
    {
      name: 'workload by address',
      calls: callsOf.fast,
      run: (turn) => Number(index.workloadByAddress(workloadAddress(turn % 500)) !== null),
    },
    {
      name: 'service by VIP',
      calls: callsOf.fast,
      run: (turn) => Number(index.serviceByVip(serviceAddress(turn % 50), 'team-1') !== null),
    },
    {
      name: 'policy, the last of 100 rules matches',
      calls: callsOf.slow,
      run: () => Number(evaluate(effective, facts).allowed),
    },
    {
      name: 'CIDR table of 1,000',
      calls: callsOf.fast,
      run: (turn) => cidrs.matches(`10.${turn & 3}.${turn & 255}.9`).length,
    },
    {
      name: 'edge counters, opened and finished',
      calls: callsOf.fast,
      run: () => {
        recorder.opened(connection);
        connection.opened = true;
        recorder.finished(connection, '-');
        return 1;
      },
    },
    { name: 'access-log line, JSON', calls: callsOf.slow, run: () => jsonLine(connection.record(null, '-')).length },
  ];
}

function policyAt(at: number): Policy {
  const principals = [{ kind: 'exact' as const, value: `cluster.local/ns/shop/sa/web-${at}` }];
  const rules = [{ clauses: [{ matches: [{ principals }] }, { matches: [{ destinationPorts: [8_080] }] }] }];
  return { name: `p${at}`, namespace: 'shop', scope: 'namespace', action: 'allow', rules, dryRun: false };
}

class NullSink implements FrameSink {
  onDataStart(): void {}
  onDataSlice(): number {
    return 0;
  }
  onDataEnd(): void {}
  onHeaders(): void {}
  onRstStream(): void {}
  onSettings(): void {}
  onPing(): void {}
  onGoaway(): void {}
  onWindowUpdate(): void {}
  onIgnored(): void {}
}
