// One connection, or one request, over and over in this process, as a data thread has them: what remembering it adds
// can be told here to the nanosecond, since there is no kernel and no other process between. For `bench -- flows`.
import { Connection } from '../src/forward/connection.ts';
import { ConnectionTracker } from '../src/forward/connection-tracker.ts';
import { EdgeRecorder } from '../src/forward/edge-recorder.ts';
import { FakeStream } from '../src/forward/fake-stream.ts';
import { testAdmission } from '../src/forward/testing-admission.ts';
import type { ClientInfo } from '../src/http/exchange/context.ts';
import { defaultHttpLimits } from '../src/http/exchange/limits.ts';
import { createHttpService } from '../src/http/exchange/service.ts';
import { Took } from '../src/io/byte-stream.ts';
import { MeshIndex } from '../src/model/mesh-index.ts';
import type { Workload } from '../src/model/types.ts';
import { AccessLog } from '../src/telemetry/access-log.ts';
import { EdgeCounters } from '../src/telemetry/edge-counters.ts';
import { FlowRing } from '../src/telemetry/flow-ring.ts';
import { RecordSink } from '../src/telemetry/record-sink.ts';
import { RequestCounters } from '../src/telemetry/request-counters.ts';
import { meshOf, serviceAddress, workloadAddress } from './scale-mesh.ts';

/** Not remembered; passed over but for one in 64, as above the limit; each remembered, as below it. */
export const modes = ['off', 'sampled', 'each'] as const;
export type Mode = (typeof modes)[number];

/** The rings have the size that they have by default. */
const ringOf = {
  off: { flowsMax: 0, flowsPerSecond: 0 },
  sampled: { flowsMax: 2_048, flowsPerSecond: 0 },
  each: { flowsMax: 2_048, flowsPerSecond: Number.POSITIVE_INFINITY },
} as const satisfies Record<Mode, object>;

/** A flow of one kind, from its beginning to its end, in one of the modes. */
export interface FlowLoad {
  /** Makes so many of them. */
  run(mode: Mode, count: number): void;
}

/** A sink whose ring can be changed between flows: the code that asks it is the same in all modes. */
class SwitchedSink {
  mode: Mode = 'off';
  readonly #log = new AccessLog({ format: 'json', file: '', access: 'off', level: 'info' });
  readonly #sinks = { off: this.#sinkOf('off'), sampled: this.#sinkOf('sampled'), each: this.#sinkOf('each') };

  get current(): RecordSink {
    return this.#sinks[this.mode];
  }

  #sinkOf(mode: Mode): RecordSink {
    return new RecordSink(this.#log, new FlowRing(ringOf[mode]));
  }
}

const mesh = { workloads: 500, services: 50, policies: 20 };
const source = 1;
const ports = 16_384;

function meshIndex(): { index: MeshIndex; client: Workload } {
  const index = new MeshIndex();
  index.apply(meshOf(mesh));
  const client = index.workloadByAddress(workloadAddress(source));
  if (client === null) throw new TypeError('the generated mesh has changed');
  return { index, client };
}

/** A connection that is counted, opened and ended well, each of a port of its own. Nothing is carried. */
export function connectionLoad(): FlowLoad {
  const { index, client } = meshIndex();
  const address = workloadAddress(120);
  const server = index.workloadByAddress(address);
  const sink = new SwitchedSink();
  const edges = new EdgeRecorder(new EdgeCounters());
  const judge = (): never => {
    throw new TypeError('nobody asks for policy');
  };
  const admission = testAdmission();
  const trackers = Object.fromEntries(
    modes.map((mode) => {
      sink.mode = mode;
      return [mode, new ConnectionTracker({ threadId: 0, admission, judge, edges, records: sink.current })];
    }),
  ) as Record<Mode, ConnectionTracker>;
  let made = 0;
  return {
    run: (mode, count) => {
      const tracker = trackers[mode];
      for (let turn = 0; turn < count; turn++, made++) {
        const from = { address: workloadAddress(source), port: 32_768 + (made % ports), workload: client };
        const connection = new Connection(
          `0-${made}`,
          'outbound',
          { ...from, identity: 'spiffe://cluster.local/ns/team-1/sa/account-1' },
          { address, port: 8_080, workload: server, identity: 'spiffe://cluster.local/ns/team-20/sa/account-20' },
        );
        tracker.add(connection);
        tracker.opened(connection);
        tracker.finish(connection, null);
      }
    },
  };
}

const answer = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok',
);
const asked = 'GET /api/v1/products?page=2 HTTP/1.1\r\nHost: app-20\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n';

/** A stream whose bytes nobody looks at. */
class SilentStream extends FakeStream {
  writes = 0;

  override write(): number {
    this.writes++;
    return Took.All;
  }
}

/** A request through the HTTP service of a waypoint, over streams in memory: 32 clients by turns, one endpoint. */
export function requestLoad(): FlowLoad {
  const { index, client } = meshIndex();
  const service = index.serviceByVip(serviceAddress(20), 'team-20');
  if (service === null) throw new TypeError('the generated mesh has changed');
  const sink = new SwitchedSink();
  const upstream: SilentStream[] = [];
  const http = createHttpService({
    index,
    self: () => null,
    routesOf: () => null,
    connect: (_, callback) => {
      const stream = new SilentStream();
      upstream.push(stream);
      callback(null, stream);
      return () => {};
    },
    passThrough: (stream) => stream.reset(),
    judge: null,
    records: {
      wants: (failed, nowMs) => sink.current.wants(failed, nowMs),
      request: (record) => sink.current.request(record),
    },
    counters: new RequestCounters(),
    limits: defaultHttpLimits,
    random: Math.random,
  });
  const clients = Array.from({ length: 32 }, (_, at) => {
    const info: ClientInfo = {
      identity: 'spiffe://cluster.local/ns/team-1/sa/account-1',
      workload: client,
      address: workloadAddress(source),
      port: 40_000 + at,
      service,
      servicePort: 80,
      destinationAddress: serviceAddress(20),
      protocol: 'http1',
    };
    const stream = new SilentStream();
    http.serve(stream, info);
    return stream;
  });
  let made = 0;
  return {
    run: (mode, count) => {
      sink.mode = mode;
      for (let turn = 0; turn < count; turn++, made++) {
        const stream = clients[made % clients.length]!;
        const before = stream.writes;
        stream.handler!.onData(Buffer.from(asked));
        for (const each of upstream) {
          if (each.writes === 0) continue;
          each.writes = 0;
          each.handler!.onData(Buffer.from(answer));
        }
        if (stream.writes === before) throw new TypeError('the request was not answered at once');
      }
    },
  };
}
