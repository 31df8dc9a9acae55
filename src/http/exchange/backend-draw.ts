// Which backend of a rule a request goes to: drawn anew for each, so that weights hold per request and not per
// connection.

/** One of `backends` with a chance proportional to its weight; null when all weights are zero. `random` in [0, 1). */
export function drawBackend<B extends { readonly weight: number }>(backends: readonly B[], random: number): B | null {
  const [only] = backends;
  if (only !== undefined && backends.length === 1) return only.weight > 0 ? only : null;
  let total = 0;
  for (const backend of backends) total += backend.weight;
  let left = random * total;
  let last: B | null = null;
  for (const backend of backends) {
    if (backend.weight <= 0) continue;
    last = backend;
    left -= backend.weight;
    if (left < 0) return backend;
  }
  return last;
}
