// PEM in and out: text armour around DER (RFC 7468).

const blockPattern = /-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END \1-----/g;

/** Returns the DER of every block labelled `label`, in order. Text between blocks is ignored, as RFC 7468 §2 says. */
export function pemBlocks(pem: string, label: string): Buffer[] {
  const blocks: Buffer[] = [];
  for (const [, found, base64 = ''] of pem.matchAll(blockPattern)) {
    if (found === label) blocks.push(Buffer.from(base64, 'base64'));
  }
  return blocks;
}

/** Returns `der` as one PEM block with lines of 64 characters and a newline at its end. */
export function pemOf(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Splits a bundle into its certificates, each as a PEM block of its own. */
export function splitCertificates(pem: string): string[] {
  return pemBlocks(pem, 'CERTIFICATE').map((der) => pemOf('CERTIFICATE', der));
}
