// What a container is started with: its command, its environment, and the logs and batches around it.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { containerEnvironment, expand, fieldOf } from './environment.ts';
import { Coalescer, Gatherer } from './gather.ts';
import { resolveCommand } from './images.ts';
import { LogKeeper, lastLines, readLogs } from './log-files.ts';
import type { Container, KubeObject, Pod } from './objects.ts';

describe('images', () => {
  const images = { 'company/api': 'node /srv/api.js --port 80' };
  const argv = (container: Partial<Container>) => {
    const resolved = resolveCommand({ name: 'main', ...container }, images);
    return resolved.ok ? resolved.argv : resolved.reason;
  };

  test('a command wins over the image; args follow', () => {
    assert.deepEqual(argv({ image: 'company/api', command: ['run'], args: ['a b'] }), ['run', 'a b']);
  });

  test('a mapped image runs its command line, whatever its tag or registry prefix', () => {
    for (const image of ['company/api', 'company/api:1.2', 'docker.io/company/api@sha256:00']) {
      assert.deepEqual(argv({ image, args: ['-v'] }), [
        'sh',
        '-c',
        'exec node /srv/api.js --port 80 "$@"',
        'company/api',
        '-v',
      ]);
    }
  });

  test('built-in images run ours; any other says what to type', () => {
    assert.match(String(argv({ image: 'ambient/echo:latest' })), /echo\/main\.ts$/);
    assert.match(String(argv({ image: 'nginx' })), /--image nginx=COMMAND/);
  });
});

describe('environment', () => {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [] },
    status: { phase: 'Running', conditions: [], podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
  };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { key: 'c2VjcmV0' } } as KubeObject;
  const make = (container: Partial<Container>) =>
    containerEnvironment({
      pod,
      container: { name: 'main', ...container },
      lookup: (kind) => (kind === 'Secret' ? secret : undefined),
      appProtocols: new Map([[8080, 'http']]),
    });

  test('ports with their protocol, fields of the pod, secrets', () => {
    const env = [
      { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'key' } } },
    ];
    const made = make({
      env,
      ports: [{ name: 'http', containerPort: 8080 }],
      envFrom: [{ prefix: 'P_', secretRef: { name: 's' } }],
    });
    assert(made.ok);
    assert.equal(made.env.IPS, '10.0.0.1,fd00::1');
    assert.deepEqual([made.env.KEY, made.env.P_key], ['secret', 'secret']);
    assert.deepEqual(JSON.parse(made.env.PORTS ?? ''), [{ name: 'http', containerPort: 8080, appProtocol: 'http' }]);
  });

  test('what is not there is named', () => {
    const missing = make({ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'none', key: 'k' } } }] });
    assert.deepEqual(missing, { ok: false, reason: 'A: ConfigMap none has no key k' });
    assert.equal(
      make({ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } }] }).ok,
      true,
    );
    assert.equal(fieldOf(pod, "metadata.labels['app']"), 'web');
    assert.equal(fieldOf(pod, 'spec.unknown'), null);
  });

  test('references to earlier variables', () => {
    assert.equal(expand('$(A)/$(B)/$$(A)', { A: '1' }), '1/$(B)/$(A)');
  });
});

describe('logs', () => {
  test('are followed, stay whole, and are cut when they grow too long', async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'ambient-test-'));
    const file = path.join(dir, 'a.log');
    const line = `${'x'.repeat(1023)}\n`;
    try {
      writeFileSync(file, 'first\n');
      const gone = new AbortController();
      const seen: string[] = [];
      const reading = (async () => {
        for await (const chunk of readLogs([file], true, gone.signal)) {
          seen.push(chunk.toString());
          if (seen.join('').includes('second')) break;
        }
      })();
      appendFileSync(file, 'sec');
      appendFileSync(file, 'ond\n');
      await reading;
      assert.equal(seen.join(''), 'first\nsecond\n');
      writeFileSync(file, line.repeat(17 * 1024));
      new LogKeeper(dir, new ManualClock()).check();
      appendFileSync(file, 'last\n');
      assert.deepEqual(lastLines(file, 5), ['last']);
      let bytes = 0;
      for await (const chunk of readLogs([file], false, gone.signal)) bytes += chunk.length;
      assert(bytes < 9 * 1024 * 1024 && bytes > 7 * 1024 * 1024, String(bytes));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('gathering', () => {
  test('items of one turn make one batch, those that come meanwhile the next', async () => {
    const batches: number[][] = [];
    const gatherer = new Gatherer<number>(async (items) => {
      batches.push([...items]);
      await new Promise((resolve) => setImmediate(resolve));
      if (items.includes(9)) throw new Error('nine');
    });
    const first = Promise.all([gatherer.add(1), gatherer.add(2)]);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([first, gatherer.add(3)]);
    assert.deepEqual(batches, [[1, 2], [3]]);
    await assert.rejects(gatherer.add(9), /nine/);
    await gatherer.add(4);
  });

  test('triggers while the work runs make it run once more', async () => {
    let runs = 0;
    const coalescer = new Coalescer(
      1,
      async () => {
        if (++runs === 1) for (let i = 0; i < 3; i++) coalescer.trigger();
        await new Promise((resolve) => setImmediate(resolve));
      },
      (error) => assert.fail(String(error)),
    );
    for (let i = 0; i < 5; i++) coalescer.trigger();
    await coalescer.settled();
    assert.equal(runs, 2);
  });
});
