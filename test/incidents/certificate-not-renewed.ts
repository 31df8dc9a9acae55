// The node proxy of node-1 has a token that the controller refuses: what runs goes on, and no certificate is signed.
import type { Incident } from './incident.ts';
import { problemSight, proxySight } from './sight.ts';

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
  sights: [
    proxySight(
      'node/node-1',
      /\d+ late of \d+/,
      /certificate of spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart was not renewed in time .*(token|refused|audience)/,
    ),
    problemSight(
      'certificates: every certificate is there, in date, and was renewed in time',
      null,
      /node\/node-1 spiffe:\/\/cluster\.local\/ns\/shop\/sa\/\S+ late/,
    ),
  ],
  note: 'certificates of a demo live for a day: it shows after 14 hours (npm test -- test/incidents has some of two minutes)',
  panels: ['Ambient / Control plane and certificates, Until the next one ends, by proxy'],
};
