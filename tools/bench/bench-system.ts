import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  natsProgram,
  PostgresServer,
  startSystem,
  type InstanceName,
  type SystemOptions,
  type TestSystem,
} from '@keyturn/testing';
import { say } from './figures';

/**
 * The whole system for a benchmark: real services on a PostgreSQL that syncs to disk as in production, and a NATS of its own.
 * Gone when `work` has returned, whatever it did.
 */
export async function withBenchSystem(
  options: SystemOptions,
  work: (system: TestSystem) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-bench-'));
  // As root, PostgreSQL runs under another account, which has to enter.
  chmodSync(folder, 0o755);
  const postgres = await PostgresServer.start({
    dataDir: path.join(folder, 'data'),
    logFile: path.join(folder, 'postgres.log'),
    password: randomBytes(12).toString('hex'),
    durable: true,
  });
  process.env['KEYTURN_TEST_DATABASE_URL'] = postgres.url;
  process.env['KEYTURN_TEST_NATS_SERVER'] = await natsProgram(say);
  try {
    const system = await startSystem({ ...options, env: { LOG_LEVEL: 'warn', ...options.env } });
    try {
      await work(system);
    } finally {
      await system.stop();
    }
  } finally {
    await postgres.stopAtOnce();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a process holds in memory now, in MB, as the kernel counts it; 0 where the system does not tell. */
export function residentMegabytes(system: TestSystem, instance: InstanceName): number {
  try {
    const status = readFileSync(`/proc/${system.pid(instance)}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
  } catch {
    return 0;
  }
}
