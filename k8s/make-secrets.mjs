/**
 * Makes the Secrets that an overlay asks for, with random values, and prints them. They are made once: a second run would
 * not fit the passwords that Postgres already has.
 *   node k8s/make-secrets.mjs local | kubectl create -f -
 *   node k8s/make-secrets.mjs production | kubectl create -f -      (or seal the output for your own store)
 * The names and keys are the contract between the manifests and whoever keeps the secrets; a test holds them together:
 *   node k8s/make-secrets.mjs contract production
 */
import { randomBytes } from 'node:crypto';

const namespace = 'keyturn';
const word = () => randomBytes(24).toString('hex');

/** Login of each service, as production's Postgres knows it. */
const logins = {
  'api-gateway': 'api_gateway',
  'data-service': 'data_service',
  'webhook-service': 'webhook_service',
  dispatcher: 'dispatcher',
};

function secret(name, stringData, extra = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, ...extra.metadata },
    type: extra.type ?? 'Opaque',
    stringData,
  };
}

/**
 * Passwords as NATS includes them. In quotes, because it would read an unquoted one that begins like a number as a number.
 */
const natsPasswords = (passwords) =>
  secret('nats-server', {
    'passwords.conf': Object.entries(passwords)
      .map(([name, password]) => `${name}: "${password}"\n`)
      .join(''),
  });

/** A login that the operator of Postgres keeps up to date when the Secret changes. */
const login = (name, username, password) =>
  secret(
    name,
    { username, password },
    { type: 'kubernetes.io/basic-auth', metadata: { labels: { 'cnpg.io/reload': 'true' } } },
  );

const shared = () =>
  secret('keyturn-shared', {
    SECRETS_KEY: randomBytes(32).toString('base64'),
    ADMIN_TOKEN: randomBytes(32).toString('base64url'),
  });

function local() {
  const owner = word();
  const services = word();
  const databaseUrl = `postgres://keyturn:${owner}@postgres:5432/keyturn`;
  const natsUrl = `nats://keyturn:${services}@nats:4222`;
  return [
    shared(),
    login('postgres-owner', 'keyturn', owner),
    natsPasswords({ SERVICES_PASSWORD: services }),
    ...[...Object.keys(logins), 'migrate'].map((name) =>
      secret(`keyturn-${name}`, { DATABASE_URL: databaseUrl, NATS_URL: natsUrl }),
    ),
    secret('keyturn-cli', { NATS_URL: natsUrl }),
  ];
}

function production() {
  const owner = word();
  const services = word();
  const databaseUrl = (user, password, service = 'postgres-rw') =>
    `postgres://${user}:${password}@${service}:5432/keyturn?sslmode=verify-full&sslrootcert=/run/keyturn/postgres-ca.crt`;
  const natsUrl = `tls://services:${services}@nats:4222`;
  return [
    shared(),
    login('postgres-owner', 'keyturn', owner),
    natsPasswords({ SERVICES_PASSWORD: services, PUBLISHER_PASSWORD: word(), SYSTEM_PASSWORD: word() }),
    ...Object.entries(logins).flatMap(([name, user]) => {
      const password = word();
      return [
        login(`postgres-${name}`, user, password),
        secret(`keyturn-${name}`, {
          DATABASE_URL: databaseUrl(user, password),
          ...(name === 'data-service' ? { DATABASE_READ_URL: databaseUrl(user, password, 'postgres-ro') } : {}),
          NATS_URL: natsUrl,
        }),
      ];
    }),
    secret('keyturn-migrate', { DATABASE_URL: databaseUrl('keyturn', owner), NATS_URL: natsUrl }),
    secret('keyturn-cli', { NATS_URL: natsUrl }),
  ];
}

/** Secrets that come from elsewhere: certificates, the operator of Postgres, the object store of the backups. */
const fromElsewhere = {
  local: {},
  production: {
    'nats-tls': ['tls.crt', 'tls.key', 'ca.crt'],
    'postgres-ca': ['ca.crt'],
    'postgres-backup': ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY'],
    'keyturn-tls': ['tls.crt', 'tls.key'],
  },
};

const [command, overlay = command] = process.argv.slice(2);
const make = { local, production }[overlay];
if (!make) {
  console.error('usage: node k8s/make-secrets.mjs local|production     or: … contract local|production');
  process.exit(1);
}
const made = make();
if (command === 'contract') {
  const names = Object.fromEntries(made.map(({ metadata, stringData }) => [metadata.name, Object.keys(stringData)]));
  console.log(JSON.stringify({ made: names, fromElsewhere: fromElsewhere[overlay] }, undefined, 2));
} else {
  // Names for whoever reads the screen; the objects alone go down the pipe.
  for (const [name, keys] of Object.entries(fromElsewhere[overlay]))
    console.error(`to be made elsewhere: Secret ${name} with ${keys.join(', ')}`);
  console.log(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: made }, undefined, 2));
}
