// What a case of the API server's suite is, and what it is given.
import assert from 'node:assert/strict';
import type { Answer, ApiClient, Json, WatchReader } from './api-client.ts';

/** One behaviour, told by its name. Runs against any API server. */
export interface ApiCase {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
}

/** A namespace of the case's own, and the way to the server. */
export interface Scene {
  readonly api: ApiClient;
  readonly namespace: string;
  /** `/api/v1/namespaces/NS/PLURAL`, or with a group and version before the plural. */
  readonly path: (plural: string, groupVersion?: string) => string;
  /** A watch that is closed after the case. */
  readonly watch: (path: string) => Promise<WatchReader>;
  /** A name of the cluster that is no other case's; what stands at `path` is deleted after the case. */
  readonly clean: (path: string) => void;
  readonly unique: string;
}

/** The body, or an assertion with what the server said. */
export function ok(answer: Answer, status = 200): Json {
  assert.equal(answer.status, status, `${answer.status}: ${JSON.stringify(answer.body).slice(0, 600)}`);
  return answer.body;
}

/** Asserts a refusal: HTTP status and reason of the Status object, and words of its message. */
export function refused(answer: Answer, status: number, reason: string, words?: RegExp): Json {
  const said = JSON.stringify(answer.body).slice(0, 600);
  assert.equal(answer.status, status, said);
  assert.equal(answer.body.kind, 'Status', said);
  assert.equal(answer.body.reason, reason, said);
  assert.equal(answer.body.code, status, said);
  if (words !== undefined) assert.match(answer.body.message, words);
  return answer.body;
}

/** A ConfigMap, the plainest object. */
export function configMap(name: string, data: Readonly<Record<string, string>> = {}, metadata: object = {}): Json {
  const filled = Object.keys(data).length === 0 ? {} : { data };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, ...filled };
}

/** A pod that nobody has scheduled. */
export function pod(name: string, spec: object = {}, metadata: object = {}): Json {
  const containers = [{ name: 'main', image: 'ambient/echo' }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: { containers, ...spec } };
}

/** Calls `check` until it does not throw any more, as long as something works on it in the background. */
export async function eventually(check: () => Promise<void>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
