// Makes one HTTP request (`HttpQuestion` as JSON, the only argument) and prints the answer as JSON: for who has to ask
// from within another network namespace, which a process joins when it starts.
import { messageOf } from '../base/errors.ts';
import { askHttp, type HttpQuestion } from './ask-http.ts';

try {
  const answer = await askHttp(JSON.parse(process.argv[2] ?? '{}') as HttpQuestion);
  process.stdout.write(JSON.stringify(answer));
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
