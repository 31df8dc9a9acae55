// The exit codes of `ambientctl`, which scripts rely on: one table, and the way from an error to its code.
import { type ErrorCode, MeshError } from '../base/errors.ts';

export const exitCodes = {
  fine: 0,
  failureFound: 1,
  usage: 2,
  notReachable: 3,
  timedOut: 4,
  /** Ended by Ctrl-C before it was done, as a shell has it: 128 + SIGINT. */
  interrupted: 130,
} as const;

const codeOf: Partial<Record<ErrorCode, number>> = {
  USAGE: exitCodes.usage,
  INPUT_UNREADABLE: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  NOT_REACHABLE: exitCodes.notReachable,
  TIMED_OUT: exitCodes.timedOut,
};

/** The exit code for anything that was thrown: by the error's own code, 1 where the table has no better. */
export function exitCodeOf(error: unknown): number {
  return codeOf[MeshError.from(error).code] ?? exitCodes.failureFound;
}
