import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { services as programs, workspaceRoot } from '@keyturn/testing';

interface ComposeService {
  image: string;
  build?: { context: string; dockerfile: string; args: Record<string, string> };
  environment?: Record<string, unknown>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  volumes?: string[];
  ports?: string[];
  restart?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
}

const folder = path.join(workspaceRoot(), 'docker');
const file = path.join(folder, 'compose.yaml');
const { services, volumes } = parse(readFileSync(file, 'utf8'), { merge: true }) as {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
};
const named = Object.entries(services);

describe('the compose file', () => {
  const present = spawnSync('docker', ['compose', 'version']).status === 0;
  it(`is read by docker compose (${present ? 'present on this machine' : 'not on this machine, so only by us'})`, () => {
    if (present) {
      const check = spawnSync('docker', ['compose', '-f', file, 'config', '--quiet'], { encoding: 'utf8' });
      expect([check.status, check.stderr]).toEqual([0, '']);
    }
    expect(Object.keys(services)).toEqual(expect.arrayContaining([...programs, 'postgres', 'nats']));
  });

  it('keeps Postgres and NATS on disk', () => {
    for (const name of ['postgres', 'nats']) {
      const [volume] = (services[name]?.volumes ?? []).map((mount) => mount.split(':')[0] as string);
      expect(Object.keys(volumes)).toContain(volume);
    }
  });

  it('starts each program when every schema is there, and each migration when the servers answer', () => {
    for (const program of programs)
      expect(services[program]?.depends_on).toEqual(
        Object.fromEntries(
          ['access', 'data', 'webhooks'].map((schema) => [
            `migrate-${schema}`,
            { condition: 'service_completed_successfully' },
          ]),
        ),
      );
    for (const [name, { depends_on: waits }] of named.filter(([name]) => name.startsWith('migrate-')))
      expect([name, waits]).toEqual([
        name,
        { postgres: { condition: 'service_healthy' }, nats: { condition: 'service_healthy' } },
      ]);
  });

  it('asks every lasting service how it is, and gives it time to finish', () => {
    for (const [name, { restart, healthcheck, stop_grace_period: grace }] of named) {
      if (restart !== 'unless-stopped') continue;
      expect([name, healthcheck?.test[0]]).toEqual([name, 'CMD']);
      expect([name, Number.parseInt(grace ?? '', 10) >= 30]).toEqual([name, true]);
    }
  });

  it('gives everything of ours a root that cannot be written and no capability', () => {
    for (const [name, service] of named) {
      expect([name, service.security_opt]).toEqual([name, ['no-new-privileges:true']]);
      if (name !== 'postgres') expect([name, service.read_only, service.cap_drop]).toEqual([name, true, ['ALL']]);
    }
  });

  it('tells the program that takes addresses of endpoints what it tells the one that dials them', () => {
    const [taken, dialled] = ['webhook-service', 'dispatcher'].map((name) => services[name]?.environment);
    expect(taken).toEqual(dialled);
    expect(Object.keys(taken ?? {})).toEqual(expect.arrayContaining(['WEBHOOK_ALLOW_HTTP', 'WEBHOOK_ALLOW_CIDRS']));
  });

  it('opens ports on this machine only', () => {
    for (const [, { ports }] of named) for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('holds no secret: every one is a file of a volume', () => {
    for (const [name, { environment }] of named)
      for (const [variable, value] of Object.entries(environment ?? {}))
        if (/SECRET|PASSWORD|TOKEN|DATABASE_URL/.test(variable))
          expect([name, variable, value]).toEqual([
            name,
            expect.stringMatching(/_FILE$/),
            expect.stringMatching(/^\/run\//),
          ]);
  });

  it('builds each program from the one Dockerfile, and mounts only files that are there', () => {
    for (const program of [...programs, 'cli'])
      expect(services[program]?.build).toMatchObject({
        context: '..',
        dockerfile: 'docker/Dockerfile',
        args: { APP: program },
      });
    for (const [, { volumes: mounts }] of named)
      for (const [source] of (mounts ?? []).map((mount) => mount.split(':')))
        if (source?.startsWith('./')) expect([source, existsSync(path.join(folder, source))]).toEqual([source, true]);
  });
});
