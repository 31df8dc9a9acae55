// The TLS profile of the tunnel (ambient-l4 §1.2): TLS 1.3 alone, AES-GCM, no tickets, so that no session is resumed.
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

export interface TunnelKeyMaterial {
  readonly keyPem: string | Buffer;
  /** Leaf first, then intermediates. */
  readonly chainPem: string | Buffer;
  /** Trusted for peers, in both roles. */
  readonly rootsPem: readonly string[];
}

/**
 * Returns the context that both roles of the tunnel use. Throws what OpenSSL throws for material that does not fit
 * together.
 */
export function tunnelSecureContext(material: TunnelKeyMaterial): SecureContext {
  return createSecureContext({
    key: material.keyPem,
    cert: material.chainPem,
    ca: [...material.rootsPem],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}
