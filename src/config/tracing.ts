// Where spans go and how many there are: the part `tracing` of the files of node proxies and waypoints.
import { boolean, integer, mapping, number, object, oneOf, type ShapeType, string } from './schema.ts';

const httpUrl = {
  pattern: /^(https?:\/\/[^/\s?#@]+(\/[^\s?#]*)?)?$/,
  what: 'an http:// or https:// address of an OTLP receiver, or empty',
};
const percent = { min: 0, max: 100 };
const queueMax = 1_000_000;

/** Where pods have the Secret of the receiver's credentials, if there is one. */
export const tracingCredentialsDir = '/var/run/secrets/ambient-tracing';

const shape = {
  /** Of a receiver of OTLP over HTTP; without a path it is `/v1/traces`. '' traces nothing. */
  endpoint: string('', httpUrl),
  /** Folder of what the receiver asks for: `headers`, lines of `NAME: VALUE`; `ca.crt`, who vouches for it. */
  credentialsDir: string(tracingCredentialsDir),
  /** How batches are sent. */
  compression: oneOf(['none', 'gzip'], 'none'),
  /** Of the requests that come without a decision, so many in a hundred are traced. */
  samplingPercent: number(percent, 1),
  /** The same for services of one namespace. */
  namespaces: mapping(number(percent)),
  /** A span for each connection that is no request too. */
  connections: boolean(false),
  /** Spans of one data thread that may wait; what comes then is dropped and counted. */
  queuedSpansMax: integer({ min: 1, max: queueMax }, 2_048),
};

export type TracingConfig = ShapeType<typeof shape>;

/** The part of the file. */
export const tracingShape = object(shape);
