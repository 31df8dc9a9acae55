// One watch: what has happened since a version, then what happens, as JSON lines; bookmarks in between for who wants
// them. An object that comes to match or ceases to is ADDED or DELETED, whatever happened to it.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { KubeObject } from '../objects.ts';
import { ApiFailure, expired } from './failure.ts';
import type { History, HistoryEvent } from './history.ts';
import type { Included, Presenter, Shape } from './presenter.ts';
import type { Reader } from './reader.ts';
import { isTrue, numberOf } from './request.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import type { Predicate } from './selectors.ts';

export interface WatchParts {
  readonly history: History;
  readonly reader: Reader;
  readonly presenter: Presenter;
  readonly clock: Clock;
  readonly bookmarkMs: number;
}

export interface WatchRequest {
  readonly type: ResourceType;
  readonly namespace: string | null;
  readonly query: URLSearchParams;
  readonly shape: Shape;
  readonly included: Included;
  readonly matches: Predicate;
}

/** What a watcher who does not read may have waiting before it is cut off. */
const backlogBytesMax = 32 * 1024 * 1024;
const timeoutDefaultS = 1800;
const initialEnd = 'k8s.io/initial-events-end';

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** Answers one watch request until it is over. */
export class Watch {
  readonly type: ResourceType;
  readonly #parts: WatchParts;
  readonly #request: WatchRequest;
  readonly #response: ServerResponse;
  readonly #wantsBookmarks: boolean;
  readonly #ended: () => void;
  #cancels: (() => void)[] = [];
  #version = 0;
  #isFirst = true;
  #isOver = false;

  /** `ended` is called once, however it ends. */
  constructor(parts: WatchParts, request: WatchRequest, response: ServerResponse, ended: () => void) {
    this.type = request.type;
    this.#parts = parts;
    this.#request = request;
    this.#response = response;
    this.#wantsBookmarks = isTrue(request.query.get('allowWatchBookmarks'));
    this.#ended = ended;
  }

  /** Begins. Throws what a request is refused with; from then on failures are events. */
  start(): void {
    const { query, type } = this.#request;
    const { history, clock } = this.#parts;
    const wanted = numberOf(query, 'resourceVersion');
    const isInitial = checkInitialEvents(query);
    if (isInitial) this.#parts.reader.checkNotNewer(query);
    this.#response.on('close', () => this.close());
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    this.#response.flushHeaders();
    if (!isInitial && wanted !== undefined && wanted > 0) {
      if (!this.#catchUp(wanted)) return;
    } else {
      this.#sendState(isInitial && this.#wantsBookmarks, query.get('sendInitialEvents') !== 'false');
    }
    const timeoutS = numberOf(query, 'timeoutSeconds') ?? 0;
    this.#cancels = [
      history.listen(type, (event) => this.#tell(event)),
      clock.after((timeoutS === 0 ? timeoutDefaultS : timeoutS) * 1000, () => this.close('end')),
    ];
    this.#bookmarkLater();
  }

  /** Says up to which version the watcher has seen everything, if it wants to know. */
  bookmark(): void {
    if (!this.#wantsBookmarks) return;
    this.#version = Math.max(this.#version, this.#parts.history.version);
    this.#sendBookmark({});
  }

  /** Ends the answer in good order, or cuts the connection. */
  close(how: 'end' | 'cut' = 'cut'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
    if (how === 'end') this.#response.end();
    else this.#response.destroy();
    this.#ended();
  }

  #catchUp(version: number): boolean {
    const { history } = this.#parts;
    if (version < history.forgottenTo) {
      this.#send(
        'ERROR',
        JSON.stringify(expired(`too old resource version: ${version} (${history.forgottenTo})`).status),
      );
      this.close('end');
      return false;
    }
    this.#version = version;
    for (const event of history.since(this.#request.type, version)) this.#tell(event);
    return true;
  }

  /** What is there now, as if it had just been added. */
  #sendState(hasMark: boolean, isWanted: boolean): void {
    const { history } = this.#parts;
    const { type, matches } = this.#request;
    this.#version = history.version;
    if (!isWanted) return;
    for (const object of history.at(type, this.#version)) if (matches(object)) this.#sendObject('ADDED', object);
    if (hasMark) this.#sendBookmark({ annotations: { [initialEnd]: 'true' } });
  }

  #tell(event: HistoryEvent): void {
    // A watch may begin at a version that is yet to come.
    if (event.version <= this.#version) return;
    this.#version = event.version;
    const { matches } = this.#request;
    const before = event.previous !== null && matches(event.previous);
    const after = event.action !== 'deleted' && matches(event.object);
    if (after) this.#sendObject(before ? 'MODIFIED' : 'ADDED', event.object);
    else if (before) this.#sendObject('DELETED', goneOf(event));
  }

  #sendObject(type: EventType, object: KubeObject): void {
    const { type: resource, shape, included } = this.#request;
    this.#send(type, this.#parts.presenter.eventJson(resource, object, shape, included, this.#isFirst));
    this.#isFirst = false;
  }

  #sendBookmark(extra: { readonly annotations?: Readonly<Record<string, string>> }): void {
    const { type } = this.#request;
    const metadata = { resourceVersion: String(this.#version), creationTimestamp: null, ...extra };
    this.#send('BOOKMARK', JSON.stringify({ kind: type.kind, apiVersion: apiVersionOf(type), metadata }));
  }

  #send(type: EventType, json: string): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return;
    response.write(`{"type":"${type}","object":${json}}\n`);
    if (response.writableLength > backlogBytesMax) this.close();
  }

  #bookmarkLater(): void {
    if (!this.#wantsBookmarks) return;
    const cancel = this.#parts.clock.after(this.#parts.bookmarkMs, () => {
      this.#cancels = this.#cancels.filter((each) => each !== cancel);
      this.bookmark();
      this.#bookmarkLater();
    });
    this.#cancels.push(cancel);
  }
}

/** The last state that matched, with the version at which it ceased to. */
function goneOf({ object, previous, version }: HistoryEvent): KubeObject {
  const last = previous ?? object;
  return { ...last, metadata: { ...last.metadata, resourceVersion: String(version) } };
}

/** True when the state is asked for as events. Throws 422 for parameters that do not go together. */
function checkInitialEvents(query: URLSearchParams): boolean {
  const isAsked = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  const refuse = (field: string, message: string): ApiFailure => {
    const causes = [{ reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field }];
    const text = `ListOptions.meta.k8s.io "" is invalid: ${field}: Forbidden: ${message}`;
    return new ApiFailure(422, 'Invalid', text, { group: 'meta.k8s.io', kind: 'ListOptions', causes });
  };
  if (isAsked === null) {
    if (match !== '')
      throw refuse(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    return false;
  }
  if (match !== 'NotOlderThan')
    throw refuse('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  return isAsked === 'true' || isAsked === '1';
}
