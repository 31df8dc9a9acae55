// A session ends when the certificate that its peer has shown ends: an identity that is not renewed any more, because
// its pod is gone or the authority refuses, is worth nothing from then on, also on connections that run.

const timerMaxMs = 2 ** 31 - 1;

/** Calls `end` once when the time has come; returns what calls that off. */
export function atExpiry(notAfterMs: number, end: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    timer = setTimeout(look, Math.min(Math.max(0, notAfterMs - Date.now()), timerMaxMs));
    timer.unref();
  };
  const look = (): void => (notAfterMs > Date.now() ? arm() : end());
  arm();
  return () => clearTimeout(timer);
}

/** The word in the log of a session that ended so. */
export const expired = "the peer's certificate has expired";
