// What a simulated run must never do, by name: a broken rule ends the run of its seed.

export const ruleWords = {
  bytes: 'every byte arrives in order and exactly once',
  end: 'an end arrives behind all bytes, once, and only when it was sent',
  close: 'every stream and session is closed exactly once, and nothing happens on it afterwards',
  clean: 'what nobody broke ends well on both sides',
  abort: 'an end that was not clean is an error on the other side',
  retry: 'a stream that may be tried again was never seen by the peer',
  pause: 'nothing is delivered to a reader that has paused',
  window: 'nothing is sent beyond a window',
  frames: 'frames are well formed and in the order that HTTP/2 asks for',
  fault: 'neither side accuses the other of a fault',
  progress: 'what is read moves on: all of it ends in bounded time',
  left: 'nothing is left behind: no stream, timer or byte',
} as const;

export type Rule = keyof typeof ruleWords;

/** A rule was broken; ends the run. */
export class BrokenRule extends Error {
  readonly rule: Rule;

  constructor(rule: Rule, what: string) {
    super(`${rule}: ${what}`);
    this.name = 'BrokenRule';
    this.rule = rule;
  }
}

/** Throws BrokenRule unless `holds`. */
export function check(holds: boolean, rule: Rule, what: string | (() => string)): void {
  if (!holds) throw new BrokenRule(rule, typeof what === 'string' ? what : what());
}
