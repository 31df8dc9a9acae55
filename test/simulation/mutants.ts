// Faults put in on purpose, each with the rule that has to notice it: whether the simulation can fail at all.
import type { H2Session } from '../../src/h2/session.ts';
import type { Rule } from './rules.ts';
import type { Sabotage } from './run-seed.ts';

export interface Mutant {
  readonly what: string;
  /** Rules one of which must be broken; a fault may show in several ways. */
  readonly rules: readonly (Rule | 'crash')[];
  readonly sabotage: () => Sabotage;
}

/** Replaces a method of both sessions. */
function replace<Name extends keyof H2Session>(
  name: Name,
  by: (session: H2Session, original: H2Session[Name]) => H2Session[Name],
): Sabotage {
  return {
    sessions: (...both) => {
      for (const session of both) {
        const own = session[name];
        const original = (typeof own === 'function' ? own.bind(session) : own) as H2Session[Name];
        session[name] = by(session, original);
      }
    },
  };
}

/** Far enough into the connection to be in the middle of things. */
const laterBytes = 150;

const tampered = (change: (bytes: Buffer) => Buffer): Sabotage => ({
  tamper: (bytes, offset) => (offset > laterBytes && bytes.length > 9 ? change(bytes) : bytes),
});

export const mutants: readonly Mutant[] = [
  {
    what: 'a byte changes on its way',
    rules: ['bytes', 'fault'],
    sabotage: () =>
      tampered((bytes) => {
        bytes[bytes.length - 1] = bytes.at(-1)! ^ 1;
        return bytes;
      }),
  },
  {
    what: 'a piece arrives twice',
    rules: ['bytes', 'fault', 'end', 'frames'],
    sabotage: () => tampered((bytes) => Buffer.concat([bytes, bytes])),
  },
  {
    what: 'a piece is lost',
    rules: ['bytes', 'fault', 'end', 'frames', 'progress'],
    sabotage: () => tampered(() => Buffer.alloc(0)),
  },
  {
    what: 'windows are not respected',
    rules: ['window', 'fault'],
    sabotage: () =>
      replace('sendData', (_, original) => (stream, chunk) => {
        stream.sendWindow.available += 50_000;
        return original(stream, chunk);
      }),
  },
  {
    what: 'a window that the peer makes smaller later stays as it was',
    rules: ['window'],
    sabotage: () => ({
      sessions: (...both) => {
        for (const { peerSettings } of both) {
          let [value, changes] = [peerSettings.streamWindowBytes, 0];
          const set = (to: number): void => {
            if (changes++ === 0) value = to;
          };
          Object.defineProperty(peerSettings, 'streamWindowBytes', { get: () => value, set });
        }
      },
    }),
  },
  {
    what: 'credit is never given',
    rules: ['progress'],
    sabotage: () => replace('credit', () => () => undefined),
  },
  {
    what: 'END_STREAM is lost',
    rules: ['progress'],
    sabotage: () => replace('sendEnd', () => () => undefined),
  },
  {
    what: 'END_STREAM becomes a reset',
    rules: ['clean', 'frames', 'end', 'progress', 'abort'],
    sabotage: () => replace('sendEnd', (session) => (stream) => session.sendReset(stream, 8)),
  },
  {
    what: 'a reset is not sent',
    rules: ['progress', 'bytes', 'close', 'end'],
    sabotage: () => replace('sendReset', () => () => undefined),
  },
  {
    what: 'whoever waits for room is forgotten',
    rules: ['progress'],
    sabotage: () => replace('awaitRoom', () => () => undefined),
  },
  {
    what: 'whoever waits for the connection window is forgotten',
    rules: ['progress'],
    sabotage: () => replace('windowOpened', () => () => undefined),
  },
  {
    what: 'the session ends twice',
    rules: ['close'],
    sabotage: () => ({
      sessions: (client) => {
        const { onClose } = client.events;
        client.events.onClose = (error) => {
          onClose(error);
          onClose(error);
        };
      },
    }),
  },
  {
    what: 'a stream is never forgotten',
    rules: ['left', 'progress', 'fault', 'frames'],
    sabotage: () => replace('forget', () => () => undefined),
  },
  {
    what: 'a timer is left behind',
    rules: ['left'],
    sabotage: () => ({ sessions: () => void setInterval(() => undefined, 60_000) }),
  },
  {
    what: 'a GOAWAY fails the streams that it spares',
    rules: ['retry', 'clean'],
    sabotage: () => replace('peerGoaway', (_, original) => (_last, code) => original(0, code)),
  },
];
