import { readFileSync } from 'node:fs';
import { natsProgram, startSystem, type InstanceName, type SystemOptions, type TestSystem } from '@keyturn/testing';
import { say } from './figures';

/**
 * The whole system for a benchmark: real services on a PostgreSQL that syncs to disk as in production, and a NATS of its own.
 * Gone when `work` has returned, whatever it did.
 */
export async function withBenchSystem(
  options: SystemOptions,
  work: (system: TestSystem) => Promise<void>,
): Promise<void> {
  process.env['KEYTURN_TEST_NATS_SERVER'] = await natsProgram(say);
  const system = await startSystem({ ...options, ownPostgres: true, env: { LOG_LEVEL: 'warn', ...options.env } });
  try {
    await work(system);
  } finally {
    await system.stop();
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
