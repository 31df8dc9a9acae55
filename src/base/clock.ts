// Time as an interface, so that rotation, backoff and expiry can be tested without waiting.

/** Where code that depends on time gets it from. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `action` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, action: () => void): () => void;
}

/** setTimeout holds at most 2^31-1 ms and fires at once above it. */
const timerMaxMs = 2 ** 31 - 1;

/**
 * The machine's own clock. A delay beyond 24 days fires after 24 days: whoever waits that long looks at `now()` again.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(delayMs, 0), timerMaxMs));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal.addEventListener('abort', end);
  });
}

/** What a time ends in, for each millisecond of a second. */
const endings = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`);
let secondMs = Number.NaN;
let second = '';

/** RFC 3339, UTC, with milliseconds: what `toISOString` says, most of it made once a second. */
export function isoTime(epochMs: number): string {
  const ms = epochMs % 1000;
  if (epochMs - ms !== secondMs) {
    second = new Date(epochMs).toISOString().slice(0, -4);
    secondMs = epochMs - ms;
  }
  return second + endings[ms]!;
}
