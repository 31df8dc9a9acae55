// The log of a program: pino, as JSON lines or as text a person reads, on standard error. Connections have their own
// log (`access-log.ts`); this one tells what the program itself does.
import { writeSync } from 'node:fs';
import { type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'level' | 'child'>;

export interface LoggerOptions {
  readonly level: string;
  /** Looked at for every line: the object may change it. */
  readonly format: 'json' | 'text';
  /** Takes one line with its line feed; default: standard error. */
  readonly write?: (line: string) => void;
}

/** Whatever is logged by mistake under these names is not written. */
const secretNames = ['key', 'keyPem', 'privateKey', 'token', 'authorization', 'password', 'secret'];

/**
 * Returns a logger; `logger.level = …` changes its level at run time. Fields first, then the message:
 * `log.info({pod}, 'known')`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.write ?? writeToStderr;
  const destination = { write: (line: string) => write(options.format === 'json' ? line : textLine(line)) };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
      serializers: { error: describeError },
    },
    destination,
  );
}

/** `TIME LEVEL message  field=value …` of a JSON line. */
function textLine(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${plain(value)}`);
  return `${[time, String(level).toUpperCase().padEnd(5), msg, ...rest].join(' ')}\n`;
}

function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text;
}

/** An error as one string: its message, and where it came from when it is none of ours. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'MeshError' ? error.message : (error.stack ?? error.message);
}

function writeToStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // A log that cannot be written (a full pipe, a closed terminal) must not stop the mesh.
  }
}
