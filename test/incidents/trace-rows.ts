// What a receiver of traces gets of the shop, and that the exemplars in the metrics lead there.
import { test } from 'node:test';
import type { ReceivedSpan } from '../../src/telemetry/traces/testing-receiver.ts';
import { receiverUrl, type Scene, until } from './scene.ts';

const timeout = { timeout: 90_000 };
const openMetrics = 'application/openmetrics-text; version=1.0.0';

/** Declares the tests; `scene` is there when they run. */
export function traceRows(scene: () => Scene): void {
  test('exemplars are of traces that the receiver got', timeout, async () => {
    const url = `http://${scene().addresses.waypoint[0]!}/metrics`;
    await until(async () => {
      const [open, told] = await scene().prometheus.fetch([
        { url, accept: openMetrics },
        { url: `${receiverUrl}/spans` },
      ]);
      const lines = [
        ...open!.text.matchAll(/^istio_request_duration_\w+_bucket\{.* # \{trace_id="([0-9a-f]{32})"\} /gm),
      ];
      if (told!.status !== 200 || lines.length === 0) return [`${lines.length} exemplars, receiver: ${told!.status}`];
      const spans = JSON.parse(told!.text) as ReceivedSpan[];
      const isThere = lines.some(([, id]) => spans.some(({ traceId }) => traceId === id));
      return isThere ? [] : [`none of ${lines.length} exemplars is among ${spans.length} spans`];
    });
  });

  test('requests and connections of the shop are spans', timeout, async () => {
    await until(async () => {
      const [told] = await scene().prometheus.fetch([{ url: `${receiverUrl}/spans` }]);
      const spans = JSON.parse(told!.text) as ReceivedSpan[];
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      const withParent = spans.flatMap((span) => {
        const parent = byId.get(span.parentId);
        return parent === undefined ? [] : [{ span, parent }];
      });
      const requests = withParent.filter(({ span, parent }) => span.kind === 'client' && parent.kind === 'server');
      const tunnels = withParent.filter(
        ({ span, parent }) => span.name === 'inbound connection' && parent.name === 'outbound connection',
      );
      const whole = requests.filter(({ span, parent }) => {
        const { attributes, resource } = parent;
        return (
          resource['service.name'] === 'waypoint' &&
          resource['k8s.namespace.name'] === 'shop' &&
          typeof attributes['ambient.segment.application_us'] === 'number' &&
          typeof attributes['ambient.segment.client_proxy_us'] === 'number' &&
          span.attributes['ambient.destination.workload'] !== undefined
        );
      });
      const acrossNodes = tunnels.filter(
        ({ span, parent }) => span.resource['k8s.node.name'] !== parent.resource['k8s.node.name'],
      );
      return [
        ...(whole.length > 0 ? [] : [`no whole request among ${requests.length}`]),
        ...(acrossNodes.length > 0 ? [] : [`no tunnel among ${spans.length} spans`]),
      ];
    });
  });
}
