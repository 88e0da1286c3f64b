import { connect } from 'nats';
import { Client } from 'pg';
import { CannotStart } from './sentence';

const TIMEOUT_MS = 5_000;
const OLDEST_POSTGRES = 16;

/** A server of somebody's own: better one sentence now than four services that wait for it. */
export async function checkPostgres(url: string): Promise<void> {
  let version: number;
  try {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: TIMEOUT_MS });
    await client.connect();
    const { rows } = await client.query<{ server_version_num: string }>('show server_version_num');
    await client.end();
    version = Math.floor(Number(rows[0]?.server_version_num) / 10_000);
  } catch (error) {
    throw new CannotStart(`DATABASE_URL names a PostgreSQL that cannot be used: ${reason(error)}.`, { cause: error });
  }
  if (version < OLDEST_POSTGRES)
    throw new CannotStart(`DATABASE_URL names PostgreSQL ${version}; ${OLDEST_POSTGRES} or newer is needed.`);
}

export async function checkNats(url: string): Promise<void> {
  try {
    const connection = await connect({ servers: url.split(','), timeout: TIMEOUT_MS, reconnect: false });
    // Fails where JetStream is off.
    await connection.jetstreamManager();
    await connection.close();
  } catch (error) {
    throw new CannotStart(`NATS_URL names a server that cannot be used (JetStream has to be on): ${reason(error)}.`, {
      cause: error,
    });
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
