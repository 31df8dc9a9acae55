// The counters' rows by what a request ended with. Labels are put together when they first meet; after that a request
// finds its row through the workloads at its ends, without making text.
import { type Flag, flagTable } from '../../base/flags.ts';
import { identityOf } from '../../forward/workload-names.ts';
import type { Service, Workload } from '../../model/types.ts';
import type { EdgeEnd } from '../../telemetry/edge-counters.ts';
import type { RequestCounters, RequestRow } from '../../telemetry/request-counters.ts';
import type { ClientInfo } from './context.ts';

const flagNumbers = new Map(Object.keys(flagTable).map((flag, at) => [flag as Flag, at]));
/** What was called where a pod was. */
const noService = { hostname: '', name: '', namespace: '' };
const nobody: EdgeEnd = { workload: '', namespace: '', identity: '' };
/** Stands for no workload. */
const noEndpoint = {};

type ByOutcome = Map<number, RequestRow>;

/** How a request ended, as its labels say it. */
export interface Outcome {
  readonly status: number;
  readonly flag: Flag;
  /** -1 for none. */
  readonly grpcStatus: number;
  readonly isGrpc: boolean;
}

/** Finds rows of `RequestCounters`. */
export class RequestRows {
  readonly #counters: RequestCounters;
  readonly #rows = new WeakMap<object, WeakMap<object, WeakMap<Service, ByOutcome>>>();

  constructor(counters: RequestCounters) {
    this.#counters = counters;
  }

  rowOf(client: ClientInfo, endpoint: Workload | null, outcome: Outcome): RequestRow {
    // Clients that nobody knows differ by their identity alone, which is rare enough to look up by name.
    if (client.workload === null) return this.#make(client, endpoint, outcome);
    const byOutcome = this.#outcomesOf(client.workload, endpoint ?? noEndpoint, client.service);
    const number =
      ((flagNumbers.get(outcome.flag) ?? 0) * 1024 + outcome.status) * 64 +
      ((outcome.grpcStatus & 31) * 2 + (outcome.isGrpc ? 1 : 0));
    let row = byOutcome.get(number);
    if (row === undefined) {
      row = this.#make(client, endpoint, outcome);
      byOutcome.set(number, row);
    }
    return row;
  }

  #outcomesOf(client: object, endpoint: object, service: Service): ByOutcome {
    const byEndpoint = getOrMake(this.#rows, client, () => new WeakMap());
    const byService = getOrMake(byEndpoint, endpoint, () => new WeakMap());
    const byOutcome = getOrMake(byService, service, () => new Map());
    return byOutcome;
  }

  #make(client: ClientInfo, endpoint: Workload | null, outcome: Outcome): RequestRow {
    const { workload } = client;
    const service = client.pod === undefined ? client.service : noService;
    const source: EdgeEnd = {
      workload: workload?.workloadName ?? '',
      namespace: workload?.namespace ?? '',
      identity: client.identity ?? '',
    };
    return this.#counters.row({
      reporter: 'waypoint',
      source,
      destination: endpoint === null ? nobody : endOf(endpoint),
      service: service.hostname,
      serviceName: service.name,
      serviceNamespace: service.namespace,
      protocol: outcome.isGrpc ? 'grpc' : 'http',
      code: outcome.status,
      grpcStatus: outcome.grpcStatus,
      flag: outcome.flag,
      mutualTls: client.identity !== null,
    });
  }
}

function getOrMake<K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function endOf(workload: Workload): EdgeEnd {
  const identity = workload.tunnelProtocol === 'HBONE' ? identityOf(workload) : '';
  return { workload: workload.workloadName, namespace: workload.namespace, identity };
}
