// The commands behind `npm run …`: they find the runtime first, then hand over.
import { runWithRuntime } from './runtime.mjs';

const scripts = {
  demo: 'src/cli/demo.ts',
  test: 'test/run.ts',
  'test:kube': 'test/kube/main.ts',
  chaos: 'test/chaos/main.ts',
  soak: 'test/chaos/soak.ts',
  incident: 'test/incidents/main.ts',
  check: 'test/check.ts',
  format: 'test/format.ts',
  bench: 'bench/main.ts',
  build: 'build/main.ts',
  image: 'build/image.ts',
  fuzz: 'test/fuzz/main.ts',
  generate: 'native-free/generate.ts',
  dashboards: 'native-free/dashboards/main.ts',
  screenshots: 'test/page/screenshots.ts',
};
const [name = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(scripts, name)) {
  process.stderr.write(`ambient: no such task '${name}'; there are: ${Object.keys(scripts).join(', ')}\n`);
  process.exit(2);
}
await runWithRuntime(scripts[name], args);
