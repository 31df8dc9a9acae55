// Joins standard input and output with a port of loopback: for who wants to reach one within another network namespace,
// which a process joins when it starts.
import { connect } from 'node:net';
import { messageOf } from '../base/errors.ts';

const socket = connect(Number(process.argv[2]), '127.0.0.1');
socket.on('error', (error) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
  process.stdin.destroy();
});
process.stdout.on('error', () => socket.destroy());
process.stdin.pipe(socket).pipe(process.stdout);
