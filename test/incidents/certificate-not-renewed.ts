// The node proxy of node-1 has a token that the controller refuses: what runs goes on, and no certificate is signed.
import type { Incident } from './incident.ts';

const node = 'node-1';

export const certificateNotRenewed: Incident = {
  name: 'certificate-not-renewed',
  breaks: 'the controller refuses the token of the node proxy of node-1, and signs nothing for it',
  runbook: 'a-certificate-will-not-renew',
  breakIt: (lab) => lab.fault({ type: 'bad-token', node }),
  mend: (lab) => lab.fault({ type: 'heal', node }),
  command: ['certs'],
  says: [/node\/node-1 +leaf +spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart .*(token|refused|audience)/],
  exitCode: 1,
  alert: {
    name: 'AmbientCertificateExpires',
    labels: { node: 'node-1', identity: 'spiffe://cluster.local/ns/shop/sa/cart' },
  },
  page: [/certificate/i, /node-1/],
  note: 'certificates of a demo live for a day: it shows when half of that is over (the test has some of two minutes)',
  panels: ['Ambient / Control plane and certificates, Until the next one ends, by proxy'],
};
