import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { DeltaDiscoveryRequestSchema, type DeltaDiscoveryResponse } from './generated/ads_pb.ts';
import { ProxyStream } from './proxy-stream.ts';
import { ResourceTable } from './resource-table.ts';
import { type EncodedResource, moreSuffix, type TypeUrl, typeOrder, typeUrls } from './resources.ts';

function resource(name: string, version: string): EncodedResource {
  return { name, version, bytes: new Uint8Array(1), aliases: [], scope: version === '1' ? 'namespace' : 'workload' };
}

const operation = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  version: fc.constantFrom('1', '2', '3', null),
});
const operations = fc.array(operation, { maxLength: 40 });

function operate(table: ResourceTable, steps: readonly { name: string; version: string | null }[]): void {
  for (const { name, version } of steps) {
    if (version === null) table.remove(name);
    else table.upsert(resource(name, version));
  }
}

function contentOf(table: ResourceTable): Record<string, string> {
  return Object.fromEntries([...table.names()].sort().map((name) => [name, table.get(name)?.version ?? '']));
}

test('the version of a table depends on its content and not on how it came about', () => {
  fc.assert(
    fc.property(operations, (steps) => {
      const table = new ResourceTable();
      operate(table, steps);
      const fresh = new ResourceTable();
      for (const [name, version] of Object.entries(contentOf(table)).reverse()) fresh.upsert(resource(name, version));
      assert.equal(table.version, fresh.version);
      if (fresh.size > 0) {
        fresh.remove([...fresh.names()][0] ?? '');
        assert.notEqual(table.version, fresh.version);
      }
    }),
  );
});

test('a log that has been cut says so instead of leaving changes out', () => {
  const table = new ResourceTable();
  table.upsert(resource('a', '0'));
  const cursor = table.end;
  for (let index = 1; index <= 30_000; index++) table.upsert(resource('a', String(index)));
  assert.equal(table.changesSince(cursor), null);
  assert.deepEqual(table.changesSince(table.end - 2), ['a', 'a']);
});

/** A proxy in memory: holds what it was sent. */
class Holder {
  readonly held = new Map<TypeUrl, Map<string, string>>(typeOrder.map((typeUrl) => [typeUrl, new Map()]));

  take(response: DeltaDiscoveryResponse): void {
    const versions = this.held.get(response.typeUrl as TypeUrl);
    for (const { name, version } of response.resources) versions?.set(name, version);
    for (const name of response.removedResources) versions?.delete(name);
  }

  content(typeUrl: TypeUrl): Record<string, string> {
    return Object.fromEntries([...(this.held.get(typeUrl) ?? [])].sort());
  }
}

function subscribe(stream: ProxyStream, holder: Holder): void {
  for (const typeUrl of typeOrder) {
    const initialResourceVersions = holder.content(typeUrl);
    stream.receive(create(DeltaDiscoveryRequestSchema, { typeUrl, initialResourceVersions }));
  }
}

const someNode = {
  kind: 'node',
  name: 'p',
  namespace: 's',
  nodeName: 'n',
  addresses: [],
  clusterId: '',
  version: '',
} as const;

test('whatever changes, whenever it answers, and however often it reconnects, a proxy ends up with the whole mesh', async () => {
  const step = fc.oneof(
    fc.record({ act: fc.constant('change' as const), type: fc.constantFrom(...typeOrder), steps: operations }),
    fc.record({ act: fc.constantFrom('answer' as const, 'reconnect' as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const tables = new Map<TypeUrl, ResourceTable>(typeOrder.map((typeUrl) => [typeUrl, new ResourceTable()]));
      const observer = { pushed: () => {}, answered: () => {} };
      const holder = new Holder();
      let stream = new ProxyStream(someNode, tables, () => 0, observer);
      subscribe(stream, holder);
      const answerOne = async (): Promise<boolean> => {
        const waiting = stream.next();
        const response = await Promise.race([waiting, new Promise<null>((resolve) => setImmediate(resolve, null))]);
        if (response === null) {
          stream.end();
          await waiting;
          return false;
        }
        holder.take(response);
        stream.receive(
          create(DeltaDiscoveryRequestSchema, { typeUrl: response.typeUrl, responseNonce: response.nonce }),
        );
        return true;
      };
      const reconnect = (): void => {
        stream.end();
        stream = new ProxyStream(someNode, tables, () => 0, observer);
        subscribe(stream, holder);
      };
      for (const one of steps) {
        if (one.act === 'change') {
          operate(tables.get(one.type) ?? assert.fail(), one.steps);
          stream.noteChange();
        } else if (one.act === 'reconnect' || !(await answerOne())) reconnect();
      }
      let rounds = 0;
      while (stream.behindSinceMs !== null) {
        assert.ok(await answerOne(), 'nothing more to send, and yet behind');
        assert.ok(++rounds < 100);
      }
      for (const typeUrl of typeOrder)
        assert.deepEqual(holder.content(typeUrl), contentOf(tables.get(typeUrl) ?? assert.fail()));
    }),
    { numRuns: 200 },
  );
});

test('a proxy that lies too far back has to begin anew', async () => {
  const tables = new Map<TypeUrl, ResourceTable>(typeOrder.map((typeUrl) => [typeUrl, new ResourceTable()]));
  const stream = new ProxyStream(someNode, tables, () => 0, { pushed: () => {}, answered: () => {} });
  subscribe(stream, new Holder());
  const first = await stream.next();
  assert.ok(first !== null && !first.systemVersionInfo.endsWith(moreSuffix));
  const table = tables.get(typeUrls.address) ?? assert.fail();
  for (let index = 0; index < 30_000; index++) table.upsert(resource('a', String(index)));
  stream.noteChange();
  assert.equal(await stream.next(), null);
  assert.equal(stream.isTooFarBehind, true);
});
