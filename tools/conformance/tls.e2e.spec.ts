import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  onDatabase,
  freshNats,
  FreshPostgres,
  migrateAll,
  ServiceProcess,
  services,
  TestAuthority,
  waitFor,
  type FreshNats,
} from '@keyturn/testing';

jest.setTimeout(90_000);

/** The services as they are shipped, on a PostgreSQL and a NATS that are reached by TLS, as in production. */
describe('services behind TLS', () => {
  const authority = new TestAuthority('servers of a cluster');
  let folder: string;
  let postgres: FreshPostgres;
  let nats: FreshNats;
  const running: ServiceProcess[] = [];

  const file = (name: string, text: string) => {
    const place = path.join(folder, name);
    writeFileSync(place, text, { mode: 0o600 });
    return place;
  };

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'keyturn-tls-'));
    const { certificate, key } = authority.issue({ commonName: 'nats', hosts: ['localhost'] });
    const config = `tls { cert_file: "${file('nats.crt', certificate)}", key_file: "${file('nats.key', key)}" }`;
    [postgres, nats] = await Promise.all([
      FreshPostgres.start({ tls: authority.issue({ commonName: 'postgres', hosts: ['127.0.0.1'] }) }),
      freshNats({ configFile: file('nats.conf', config) }),
    ]);
  });
  afterAll(async () => {
    await Promise.all(running.map((service) => service.stopAtOnce()));
    await Promise.all([postgres.stop(), nats.stop()]);
    rmSync(folder, { recursive: true });
  });

  const trusting = (ca: string): NodeJS.ProcessEnv => ({
    ...process.env,
    DATABASE_URL: `${postgres.url}?sslmode=verify-full&sslrootcert=${ca}`,
    NATS_URL: nats.url.replace('nats://', 'tls://'),
    NATS_CA: ca,
    ADMIN_TOKEN: randomBytes(24).toString('base64url'),
    SECRETS_KEY: randomBytes(32).toString('base64'),
    GATEWAY_PORT: '0',
    MANAGEMENT_PORT: '0',
    DRAIN_DELAY: '0s',
  });
  const logOf = (name: string) => path.join(folder, `${name}.log`);

  it('migrate, become ready and talk to both servers by TLS alone', async () => {
    const env = trusting(file('ca.crt', authority.certificate));
    await migrateAll((name) => ({ env, logFile: logOf(`migrate-${name}`) }));
    for (const name of services) running.push(ServiceProcess.launch(name, { env, logFile: logOf(name) }));
    await Promise.all(running.map((service) => service.ready()));
    const { rows } = await onDatabase(postgres.url, (client) =>
      client.query<{ name: string; ssl: boolean }>(
        `select distinct application_name as name, ssl from pg_stat_activity join pg_stat_ssl using (pid)
         where datname = current_database() and pid <> pg_backend_pid()`,
      ),
    );
    for (const name of services) expect(rows.map((row) => row.name)).toContain(name);
    expect(rows.filter(({ ssl }) => !ssl)).toEqual([]);
  });

  it('refuse servers of another authority: a migration fails, a service waits, and both say why', async () => {
    const env = trusting(file('other-ca.crt', new TestAuthority('somebody else').certificate));
    await expect(migrateAll(() => ({ env, logFile: logOf('migrate-refused') }))).rejects.toThrow(/certificate/);
    const service = ServiceProcess.launch('data-service', { env, logFile: logOf('refused') });
    try {
      await waitFor('the service to say why', () => {
        const said = readFileSync(logOf('refused'), 'utf8');
        return said.includes('The certificate of PostgreSQL is not trusted') && /NATS_CA.*certificate/.test(said);
      });
      expect(readFileSync(logOf('refused'), 'utf8')).not.toContain('"ready"');
    } finally {
      await service.stopAtOnce();
    }
  });
});
