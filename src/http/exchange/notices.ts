// What the HTTP service has to say in the log of the program.
import type { Destination } from '../balance/destination.ts';
import type { OutlierEvent } from '../resilience/outliers.ts';
import type { HttpServiceContext } from './context.ts';

/** An endpoint went out of rotation, or came back: which one, why, and until when. */
export function noticeOutlier(
  notice: NonNullable<HttpServiceContext['notice']>,
  { service, port, subset }: Destination,
  { endpoint, kind, reason, forMs }: OutlierEvent,
): void {
  const { namespace, name } = endpoint.workload;
  const where = {
    service: service.hostname,
    port,
    ...(subset === '' ? {} : { subset }),
    endpoint: `${namespace}/${name}`,
    address: endpoint.title,
  };
  if (kind === 'returned') notice('endpoint returned to rotation', where);
  else notice('endpoint ejected', { ...where, reason, until: new Date(Date.now() + forMs).toISOString() });
}
