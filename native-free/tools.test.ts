import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MeshError } from '../src/base/errors.ts';
import { ensureTools, findTool, installLine, searchPath, type ToolHost } from './tools.ts';

const debian = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n';
const ubuntu = 'ID=ubuntu\nID_LIKE=debian\n';
const fedora = 'ID=fedora\n';

interface FakeHost extends ToolHost {
  readonly commands: string[];
  readonly said: string[];
  quietServices: number;
}

function fakeHost(options: { root: boolean; osRelease?: string; there?: string[]; aptGives?: string[] }): FakeHost {
  const programs = new Set(options.there ?? []);
  const host: FakeHost = {
    commands: [],
    said: [],
    quietServices: 0,
    isRoot: options.root,
    osRelease: options.osRelease ?? debian,
    path: '/usr/bin',
    isProgram: (file) => programs.has(file),
    run: (command, args) => {
      host.commands.push([command, ...args].join(' '));
      if (!args.includes('install')) return { ok: true, output: '' };
      for (const file of options.aptGives ?? []) programs.add(file);
      return options.aptGives ? { ok: true, output: '' } : { ok: false, output: 'Reading…\nE: no network\n' };
    },
    say: (line) => host.said.push(line),
    withoutServices: (work) => {
      host.quietServices++;
      work();
    },
  };
  return host;
}

function missing(names: string[], host: ToolHost): string {
  try {
    ensureTools(names, host);
  } catch (error) {
    assert.ok(error instanceof MeshError);
    assert.equal(error.code, 'TOOL_MISSING');
    return error.message;
  }
  assert.fail('ensureTools should have thrown');
}

describe('ensureTools', () => {
  it('finds what is there without running anything, also outside of PATH', () => {
    const host = fakeHost({ root: false, there: ['/usr/sbin/nft', '/usr/bin/perl'] });
    assert.deepEqual(
      [...ensureTools(['nft', 'perl'], host)],
      [
        ['nft', '/usr/sbin/nft'],
        ['perl', '/usr/bin/perl'],
      ],
    );
    assert.deepEqual(host.commands, []);
    assert.ok(process.env.PATH?.split(':').includes('/usr/sbin'), 'later spawns must find it too');
  });

  it('installs as root on Debian and Ubuntu: one update, one install, one line', () => {
    for (const osRelease of [debian, ubuntu]) {
      const host = fakeHost({ root: true, osRelease, aptGives: ['/usr/sbin/nft', '/usr/sbin/ip', '/usr/sbin/tc'] });
      assert.equal(ensureTools(['nft', 'ip', 'tc'], host).get('ip'), '/usr/sbin/ip');
      assert.deepEqual(host.commands, [
        'apt-get -qq -o DPkg::Lock::Timeout=120 update',
        'apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 install iproute2 nftables',
      ]);
      assert.deepEqual(host.said, ['installing iproute2, nftables with apt-get (once)']);
      assert.equal(host.quietServices, 0);
    }
  });

  it('keeps daemons from starting when the package brings one', () => {
    const host = fakeHost({ root: true, aptGives: ['/usr/sbin/nginx'] });
    ensureTools(['nginx'], host);
    assert.equal(host.quietServices, 1);
  });

  it('names the line to type when it may not install', () => {
    assert.equal(
      missing(['nft', 'ip'], fakeHost({ root: false })),
      'nft, ip is not installed; type: sudo apt-get install -y iproute2 nftables',
    );
    assert.equal(
      missing(['ip'], fakeHost({ root: true, osRelease: fedora })),
      'ip is not installed; type: dnf install -y iproute',
    );
  });

  it('says what apt-get said when it fails', () => {
    assert.equal(
      missing(['nft'], fakeHost({ root: true })),
      'nft is not installed; type: apt-get install -y nftables (tried: E: no network)',
    );
  });

  it('finds real tools of this machine', () => {
    assert.match(ensureTools(['sh', 'env']).get('env') ?? '', /^\/.*\/env$/);
    assert.equal(findTool('no-such-tool-anywhere'), null);
  });
});

describe('installLine', () => {
  const rows: [string, string][] = [
    [debian, 'sudo apt-get install -y nftables'],
    [fedora, 'sudo dnf install -y nftables'],
    ['ID=alpine\n', 'sudo apk add nftables'],
    ['ID=arch\n', 'sudo pacman -S nftables'],
    ['', 'sudo apt-get install -y nftables'],
  ];
  for (const [osRelease, line] of rows) {
    it(line, () => assert.equal(installLine(['nft'], { isRoot: false, osRelease }), line));
  }
  it('takes a name it does not know as the name of its package', () => {
    assert.equal(installLine(['jq'], { isRoot: true, osRelease: debian }), 'apt-get install -y jq');
  });
});

describe('searchPath', () => {
  it('appends what is lacking and keeps the order of what is there', () => {
    assert.equal(searchPath('/opt/x:/usr/bin'), '/opt/x:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/bin');
  });
});
