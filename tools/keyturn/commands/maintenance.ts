import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { RetentionReport } from '@keyturn/contracts';
import { workspaceRoot } from '@keyturn/testing';
import { type Command, UsageError } from '../command';
import { card } from '../table';

/** Owners of schemas first; data-service also makes the streams. */
const migrationOrder = ['api-gateway', 'data-service', 'webhook-service', 'dispatcher'] as const;

const migrate: Command = {
  name: 'migrate',
  summary: 'Brings every schema and stream to today’s form',
  flags: { stopped: { description: 'no service runs, so also what the running version would not survive' } },
  async run({ env, progress, switches }) {
    const words = ['migrate', ...(switches.has('stopped') ? ['--stopped'] : [])];
    for (const app of migrationOrder) {
      progress(`migrating ${app}`);
      const program = path.join(workspaceRoot(), 'dist/apps', app, 'main.js');
      // What goes wrong is said by the service itself, on stderr: stdout is for the one answer.
      const child = spawn(process.execPath, [program, ...words], {
        env: { ...env, LOG_LEVEL: env['LOG_LEVEL'] ?? 'info' },
        stdio: ['ignore', 2, 2],
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new UsageError(`${app} could not migrate; its own words stand above`);
    }
    return { json: { migrated: migrationOrder }, text: `Migrated: ${migrationOrder.join(', ')}.` };
  },
};

const retentionWaitMs = 10 * 60_000;

const retention: Command = {
  name: 'retention run',
  summary: 'Drops what is older than its retention',
  flags: { now: { value: 'ISO', description: 'count from this moment instead of now' } },
  async run({ flags, cluster }) {
    const running = await cluster();
    const request = flags['now'] === undefined ? {} : { now: flags['now'] };
    const dropped: Record<string, RetentionReport> = {
      access: await running.ask('admin.retention.access', request, retentionWaitMs),
      data: await running.ask('admin.retention.data', request, retentionWaitMs),
      webhooks: await running.ask('admin.retention.webhooks', request, retentionWaitMs),
    };
    const lines = Object.entries(dropped).flatMap(([owner, report]) =>
      Object.entries(report).map(([kind, count]) => [`${owner} ${kind}`, count] as const),
    );
    return { json: { dropped }, text: lines.length ? card(Object.fromEntries(lines)) : 'Nothing to drop.' };
  },
};

const resealWaitMs = 60_000;

const reseal: Command = {
  name: 'reseal',
  summary: 'Encrypts under the SECRETS_KEY of today what an earlier one has encrypted, while everything goes on',
  async run({ cluster, progress }) {
    const running = await cluster();
    let resealed = 0;
    let left: number;
    for (;;) {
      const step = await running.ask('admin.webhooks.reseal', {}, resealWaitMs);
      resealed += step.resealed;
      left = step.left;
      if (left === 0 || step.resealed === 0) break;
      progress(`${resealed} done, ${left} left`);
    }
    const outcome = {
      json: { resealed, left },
      text: `${resealed} encrypted anew, ${left} left under an earlier key.`,
    };
    if (left === 0) return outcome;
    const message = `${left} are still encrypted under an earlier key: keep it in SECRETS_KEY_PREVIOUS and run this again`;
    return { ...outcome, alarm: { code: 'NOT_RESEALED', message } };
  },
};

export const maintenanceCommands: readonly Command[] = [migrate, retention, reseal];
