// The server in the server pod: one nginx process with a small answer at `/` and 10 MiB at `/bulk`.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Service } from '../processes.ts';
import { serverAddress } from '../topology.ts';
import { serverPort } from './path.ts';

export const bulkBytes = 10 * 2 ** 20;

/** Starts it in `netns`. */
export function startServer(dir: string, netns: string): Service {
  const words = serverConfig(dir, `${serverAddress}:${serverPort}`);
  return new Service({ name: 'nginx', netns, words, logFile: path.join(dir, 'nginx.log') });
}

/**
 * Writes its files into `dir`; returns its command line. `listenHttp2` speaks HTTP/2 with prior knowledge. It runs as a
 * single process, so that it needs no second user.
 */
export function serverConfig(dir: string, listen: string, listenHttp2?: string): readonly [string, ...string[]] {
  writeFileSync(path.join(dir, 'bulk'), Buffer.alloc(bulkBytes, 'ambient '));
  const file = path.join(dir, 'nginx.conf');
  const http2 =
    listenHttp2 === undefined ? '' : ` listen ${listenHttp2} http2 backlog=4096; http2_max_concurrent_streams 1000;`;
  writeFileSync(
    file,
    `user root root;
daemon off;
master_process off;
pid ${dir}/nginx.pid;
error_log ${dir}/nginx-error.log;
events { worker_connections 16384; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 100000000;
  client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2; fastcgi_temp_path ${dir}/t3;
  uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;
  server {
    listen ${listen} backlog=4096;${http2}
    default_type text/plain;
    location = / { return 200 "hello from the other side\\n"; }
    location = /bulk { root ${dir}; }
  }
}
`,
  );
  return ['nginx', '-p', dir, '-e', path.join(dir, 'nginx-error.log'), '-c', file];
}
