// Header names of HBONE, and the one that is ours.

/** In the 200 of our own proxy: this session serves every pod of the certificate's identity on the proxy's node. */
export const servesHeader = 'x-ambient-serves';
export const servesNode = 'node';

export const baggageHeader = 'baggage';
export const forwardedHeader = 'forwarded';
export const traceparentHeader = 'traceparent';
