// Header names of HBONE, and the one that is ours.

/** In the 200 of our own proxy: this session serves every pod of the certificate's identity on the proxy's node. */
export const servesHeader = 'x-ambient-serves';
export const servesNode = 'node';

/** In CONNECT and its 200 between our own proxies: both time the requests that the stream carries (`h2/timing.ts`). */
export const timingHeader = 'x-ambient-timing';
export const timingVersion = '1';

export const baggageHeader = 'baggage';
export const forwardedHeader = 'forwarded';
export const traceparentHeader = 'traceparent';
