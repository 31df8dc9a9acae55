// A span that has ended, in the shape that OpenTelemetry's encoder reads. It is made once, at the end, of what is known
// then: while a request or a connection runs there are ids and times alone.
export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

/** As in `SpanKind` and `SpanStatusCode` of @opentelemetry/api, which is not loaded for them. */
export const SpanKind = { Server: 1, Client: 2 } as const;
const StatusCode = { Unset: 0, Error: 2 } as const;

/** What all spans of a program have in common. */
export interface SpanOrigin {
  readonly resource: { readonly attributes: Attributes; readonly schemaUrl?: string };
  readonly instrumentationScope: { readonly name: string; readonly version: string; readonly schemaUrl?: string };
}

export interface SpanFacts {
  readonly name: string;
  readonly kind: (typeof SpanKind)[keyof typeof SpanKind];
  readonly traceId: string;
  readonly spanId: string;
  /** '' for none. `isRemote`: it belongs to another process. */
  readonly parentId: string;
  readonly isRemote: boolean;
  /** `tracestate` as it came; '' for none. */
  readonly state: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Null: all is well, or nobody says otherwise. */
  readonly error: string | null;
}

type HrTime = [seconds: number, nanoseconds: number];

const none: never[] = [];
const sampledFlag = 1;

/**
 * A time as an attribute. Of one name all values have to be of one kind, and the encoder sends a number without a
 * fraction as an integer: so times are integers always.
 */
export function microseconds(ms: number): number {
  return Math.round(ms * 1000);
}

/** One ended span. */
export class Span {
  readonly name: string;
  readonly kind: SpanFacts['kind'];
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly duration: HrTime;
  readonly attributes: Attributes;
  readonly status: { readonly code: 0 | 2; readonly message?: string };
  readonly parentSpanContext?: ReturnType<Span['spanContext']>;
  readonly resource: SpanOrigin['resource'];
  readonly instrumentationScope: SpanOrigin['instrumentationScope'];
  readonly ended = true;
  readonly links = none;
  readonly events = none;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;
  readonly droppedLinksCount = 0;
  readonly #facts: SpanFacts;

  constructor(facts: SpanFacts, origin: SpanOrigin) {
    const { name, kind, traceId, parentId, isRemote, startMs, endMs, attributes, error } = facts;
    this.#facts = facts;
    this.name = name;
    this.kind = kind;
    this.startTime = hrTime(startMs);
    this.endTime = hrTime(Math.max(endMs, startMs));
    this.duration = hrTime(Math.max(endMs - startMs, 0));
    this.attributes = attributes;
    this.status = error === null ? unset : { code: StatusCode.Error, message: error };
    if (parentId !== '') this.parentSpanContext = { traceId, spanId: parentId, traceFlags: sampledFlag, isRemote };
    this.resource = origin.resource;
    this.instrumentationScope = origin.instrumentationScope;
  }

  spanContext(): {
    readonly traceId: string;
    readonly spanId: string;
    readonly traceFlags: number;
    readonly isRemote?: boolean;
    readonly traceState?: { serialize(): string };
  } {
    const { traceId, spanId, state } = this.#facts;
    const context = { traceId, spanId, traceFlags: sampledFlag };
    return state === '' ? context : { ...context, traceState: { serialize: () => state } };
  }
}

const unset = { code: StatusCode.Unset } as const;

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.min(Math.round((ms - seconds * 1000) * 1e6), 999_999_999)];
}

let offsetMs = performance.timeOrigin;
const driftMaxMs = 5;

/**
 * What `performance.now()` is added to for milliseconds since the epoch. As exact as the former, and it follows when
 * the clock of the machine is set.
 */
export function epochOffsetMs(): number {
  const drift = Date.now() - offsetMs - performance.now();
  if (Math.abs(drift) > driftMaxMs) offsetMs += drift;
  return offsetMs;
}
