// For tests: an HTTP service on loopback whose requests are traced, and the receiver of their spans.
import type { TestContext } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import type { TracingConfig } from '../../config/tracing.ts';
import { originOf } from '../../telemetry/traces/origin.ts';
import { plainReceiver, type ReceivedSpan, TestReceiver } from '../../telemetry/traces/testing-receiver.ts';
import { Tracer } from '../../telemetry/traces/tracer.ts';
import { type Scene, type SceneOptions, sceneOf } from '../exchange/testing-service.ts';

const config: TracingConfig = {
  endpoint: '',
  ...plainReceiver,
  samplingPercent: 0,
  namespaces: {},
  connections: false,
  queuedSpansMax: 1_000,
};

/** A scene and what its receiver of OTLP gets. */
export interface Traced extends Scene {
  readonly receiver: TestReceiver;
  readonly tracer: Tracer;
  /** All spans so far, the server's first. */
  spans(): Promise<ReceivedSpan[]>;
}

/** A scene in which everything is traced, unless `live` says otherwise. */
export async function tracedScene(
  t: TestContext,
  options: SceneOptions,
  live: Partial<TracingConfig> = {},
): Promise<Traced> {
  const receiver = new TestReceiver();
  const endpoint = await receiver.listen();
  const workload = { type: 'deployment', name: 'wp' } as const;
  const origin = originOf({ service: 'wp', namespace: 'shop', pod: 'wp-1', node: 'n1', cluster: 'c1', workload });
  const notice = (): void => {};
  const tracer = new Tracer({
    config: { ...config, samplingPercent: 100, ...live, endpoint },
    origin,
    clock: systemClock,
    random: Math.random,
    notice,
  });
  const scene = await sceneOf(t, { ...options, context: { tracer, ...options.context } });
  t.after(() => {
    tracer.destroy();
    receiver.close();
  });
  const spans = async (): Promise<ReceivedSpan[]> => {
    await tracer.close(20_000);
    return receiver.spans.sort((a, b) => b.kind.localeCompare(a.kind) || a.startMs - b.startMs);
  };
  return { ...scene, receiver, tracer, spans };
}
