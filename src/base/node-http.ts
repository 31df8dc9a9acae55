// Node's `http`. An `import` of it evaluates everything that it exports, its WebSocket client among that: 15 MB per
// thread.
/** What `import http from 'node:http'` would give. */
export const nodeHttp: typeof import('node:http') = process.getBuiltinModule('node:http');
/** What `import https from 'node:https'` would give. */
export const nodeHttps: typeof import('node:https') = process.getBuiltinModule('node:https');
