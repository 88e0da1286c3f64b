import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freshNats, FreshPostgres, TestAuthority, waitFor, type FreshNats } from '@keyturn/testing';
import { readSettings, setting, SettingsError } from './config';
import { makeDatabase, runMigrations, statement } from './database';
import { Log } from './logs';
import { ensureStreams, NatsLink, type NatsSettings } from './nats';

const log = Log.create('test', 'silent');

describe('TLS', () => {
  const authority = new TestAuthority('servers');
  const stranger = new TestAuthority('strangers');
  const clients = new TestAuthority('clients');
  let folder: string;

  const file = (name: string, text: string) => {
    const place = path.join(folder, name);
    writeFileSync(place, text, { mode: 0o600 });
    return place;
  };
  let trusted: string;
  let untrusted: string;
  let shown: { readonly cert: string; readonly key: string };
  let foreign: { readonly cert: string; readonly key: string };

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'keyturn-tls-'));
    trusted = file('ca.crt', authority.certificate);
    untrusted = file('other-ca.crt', stranger.certificate);
    const pairOf = (name: string, by: TestAuthority) => {
      const { certificate, key } = by.issue({ commonName: 'keyturn' });
      return { cert: file(`${name}.crt`, certificate), key: file(`${name}.key`, key) };
    };
    shown = pairOf('client', clients);
    foreign = pairOf('foreign', stranger);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describe('of PostgreSQL', () => {
    let postgres: FreshPostgres;

    beforeAll(async () => {
      const server = authority.issue({ commonName: 'postgres', hosts: ['127.0.0.1'] });
      postgres = await FreshPostgres.start({ tls: { ...server, clientAuthority: clients.certificate } });
    }, 60_000);
    afterAll(() => postgres.stop());

    const urlWith = (parameters: Record<string, string>) => {
      const url = new URL(postgres.url);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      return url.href;
    };
    const whoAmI = statement('tls.who', 'select ssl, client_dn as name from pg_stat_ssl where pid = pg_backend_pid()');
    const connection = async (url: string) => {
      const database = makeDatabase(url);
      try {
        return await database.acrossSpaces('test').query<{ ssl: boolean; name: string | null }>(whoAmI);
      } finally {
        await database.close();
      }
    };

    it('is spoken where sslmode=verify-full asks for it, by services and by migrations', async () => {
      const url = urlWith({ sslmode: 'verify-full', sslrootcert: trusted });
      expect(await connection(url)).toEqual([{ ssl: true, name: null }]);
      await runMigrations({ url, schema: 'shop', migrations: [], log });
      expect(await connection(postgres.url)).toEqual([{ ssl: false, name: null }]);
    });

    it('shows a certificate of its own where there is one', async () => {
      const ours = { sslmode: 'verify-full', sslrootcert: trusted, sslcert: shown.cert, sslkey: shown.key };
      expect(await connection(urlWith(ours))).toEqual([{ ssl: true, name: '/CN=keyturn' }]);
      const theirs = { ...ours, sslcert: foreign.cert, sslkey: foreign.key };
      await expect(connection(urlWith(theirs))).rejects.toThrow();
    });

    it('refuses a server of another authority or another name, and says so', async () => {
      await expect(connection(urlWith({ sslmode: 'verify-full', sslrootcert: untrusted }))).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(
          /^The certificate of PostgreSQL is not trusted \(sslrootcert of DATABASE_URL\): ./,
        ) as string,
      });
      const elsewhere = urlWith({ sslmode: 'verify-full', sslrootcert: trusted }).replace('127.0.0.1', 'localhost');
      await expect(connection(elsewhere)).rejects.toThrow(/not trusted .*localhost/);
    });

    it('takes new authorities from the file at the next connection, without a restart', async () => {
      const changing = file('changing.crt', stranger.certificate);
      const database = makeDatabase(urlWith({ sslmode: 'verify-full', sslrootcert: changing }));
      await expect(database.ping()).rejects.toThrow('not trusted');
      writeFileSync(changing, authority.certificate);
      await expect(database.ping()).resolves.toBeUndefined();
      await database.close();
    });

    it('has settings that are checked at start', () => {
      const read = (parameters: Record<string, string>) => () =>
        readSettings({ url: setting.databaseUrl('DATABASE_URL') }, { DATABASE_URL: urlWith(parameters) });
      expect(read({ sslmode: 'verify-full', sslrootcert: trusted })).not.toThrow();
      expect(read({ sslmode: 'disable' })).not.toThrow();
      for (const [parameters, problem] of [
        [{ sslmode: 'require' }, 'DATABASE_URL: sslmode must be disable or verify-full, not "require"'],
        [{ sslrootcert: trusted }, 'DATABASE_URL: sslrootcert needs sslmode=verify-full'],
        [
          { sslmode: 'verify-full', sslrootcert: '/nowhere' },
          'DATABASE_URL: sslrootcert names a file that cannot be read',
        ],
      ] as const) {
        expect(read(parameters)).toThrow(SettingsError);
        expect(read(parameters)).toThrow(problem);
      }
    });
  });

  describe('of NATS', () => {
    let nats: FreshNats;
    let natsUrl: string;
    let plain: FreshNats;

    beforeAll(async () => {
      // Given an address instead of a name, the client library expects the certificate of `localhost`.
      const { certificate, key } = authority.issue({ commonName: 'nats', hosts: ['localhost'] });
      const config = `tls {
        cert_file: "${file('nats.crt', certificate)}"
        key_file: "${file('nats.key', key)}"
        ca_file: "${file('clients.crt', clients.certificate)}"
        verify: true
      }`;
      [nats, plain] = await Promise.all([freshNats({ configFile: file('nats.conf', config) }), freshNats()]);
      natsUrl = nats.url.replace('nats://', 'tls://');
    });
    afterAll(() => Promise.all([nats.stop(), plain.stop()]));

    const tell = async (settings: NatsSettings) => {
      const link = new NatsLink(settings, 'test', log, { keepTrying: false });
      try {
        await link.whenConnected();
        await ensureStreams(link, 1);
        return (await link.whenConnected()).info?.tls_required;
      } finally {
        await link.close();
      }
    };
    const certificate = () => ({ natsCert: shown.cert, natsKey: shown.key });

    it('is spoken with the authority and the certificate that files hold', async () => {
      expect(await tell({ natsUrl, natsCa: trusted, ...certificate() })).toBe(true);
      expect(await tell({ natsUrl: plain.url })).toBeFalsy();
    });

    it('refuses a server of another authority, and says so', async () => {
      await expect(tell({ natsUrl, natsCa: untrusted, ...certificate() })).rejects.toThrow(
        /^TLS \(NATS_CA, NATS_CERT, NATS_KEY\): .*certificate/,
      );
    });

    it('is refused by a server that does not know its certificate, or is shown none', async () => {
      await expect(tell({ natsUrl, natsCa: trusted, natsCert: foreign.cert, natsKey: foreign.key })).rejects.toThrow();
      await expect(tell({ natsUrl, natsCa: trusted })).rejects.toThrow();
    });

    it('is not given up for a server that has none', async () => {
      const insisting = plain.url.replace('nats://', 'tls://');
      await expect(tell({ natsUrl: insisting })).rejects.toThrow('TLS is asked for, and the server has none');
    });

    it('says what is wrong in the readiness of a service that keeps trying', async () => {
      const link = new NatsLink({ natsUrl, natsCa: untrusted, ...certificate() }, 'test', log);
      await waitFor('the reason', async () => {
        const reason = await link.ping().catch((error: Error) => error.message);
        return /^NATS cannot be reached: TLS .*certificate/.test(reason ?? '');
      });
      await link.close();
    });

    it('needs certificate and key together', async () => {
      await expect(tell({ natsUrl, natsCert: shown.cert })).rejects.toThrow('NATS_CERT and NATS_KEY belong together');
    });
  });
});
