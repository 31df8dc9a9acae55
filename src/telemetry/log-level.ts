// The level of a program's log at run time: asked for, set, and set back by itself when a time was given, so that a
// session of debugging that was cut off does not log for ever.
import { MeshError } from '../base/errors.ts';
import { logLevels } from '../config/log-levels.ts';
import { json, type Routes, type SimpleResponse } from './metrics-server.ts';

/** Where the level of a program is. */
export interface LogLevelHolder {
  current(): string;
  /** What its configuration says. */
  configured(): string;
  set(level: string): void;
}

/** The answer to `GET /logging` and `POST /logging`. */
export interface LogLevelView {
  readonly level: string;
  readonly configured: string;
  /** When it goes back to `configured` by itself, RFC 3339; null when it does not. */
  readonly until: string | null;
}

/** Calls `action` once after `delayMs`; the returned function cancels it. */
type After = (delayMs: number, action: () => void) => () => void;

const durationMaxMs = 24 * 3_600_000;

/**
 * `GET /logging`; `POST /logging?level=LEVEL`, with `&forMs=N` for so long alone; `POST /logging?reset=1` goes back to
 * what is configured.
 */
export function loggingRoutes(holder: LogLevelHolder, after: After = afterQuietly): Routes {
  let until: number | null = null;
  let cancel = (): void => undefined;
  const view = (): SimpleResponse => {
    const answer: LogLevelView = {
      level: holder.current(),
      configured: holder.configured(),
      until: until === null ? null : new Date(until).toISOString(),
    };
    return json(answer);
  };
  const set = (level: string, forMs: number | null): void => {
    cancel();
    cancel = () => undefined;
    until = null;
    holder.set(level);
    if (forMs === null) return;
    until = Date.now() + forMs;
    cancel = after(forMs, () => set(holder.configured(), null));
  };
  return {
    'GET /logging': view,
    'POST /logging': ({ searchParams }) => {
      if (searchParams.get('reset') === '1') set(holder.configured(), null);
      else set(levelOf(searchParams), forMsOf(searchParams));
      return view();
    },
  };
}

function levelOf(query: URLSearchParams): string {
  const level = query.get('level') ?? '';
  if ((logLevels as readonly string[]).includes(level)) return level;
  throw new MeshError('USAGE', { reason: `level must be one of ${logLevels.join(', ')}, not '${level}'` });
}

function forMsOf(query: URLSearchParams): number | null {
  const text = query.get('forMs');
  if (text === null) return null;
  const forMs = Number(text);
  if (forMs > 0 && forMs <= durationMaxMs) return forMs;
  throw new MeshError('USAGE', { reason: `forMs must be more than 0 and at most ${durationMaxMs}` });
}

/** Keeps no process alive. */
function afterQuietly(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
