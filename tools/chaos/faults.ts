import type { InstanceName, TestSystem } from '@keyturn/testing';
import type { Chance } from './seed';

/** When a fault began, and from when on everything that is needed was there again. */
export interface Moments {
  readonly from: number;
  readonly over: number;
}

export type Fault = (system: TestSystem, chance: Chance) => Promise<Moments>;

/** Longer than the default of `WEBHOOK_LEASE`, 6 s: by then another one has taken over what the frozen one holds. */
const frozenMs = [8_000, 11_000] as const;
const downMs = [0, 3_000] as const;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const one = (service: 'dispatcher' | 'data-service' | 'api-gateway', chance: Chance): InstanceName =>
  chance.pick<InstanceName>([service, `${service}#2`]);

/** `kill -9` of one of two: the other one has to go on, so it counts from the kill. */
const oneOfTwo =
  (service: 'dispatcher' | 'data-service' | 'api-gateway'): Fault =>
  async (system, chance) => {
    const instance = one(service, chance);
    const from = Date.now();
    await system.kill(instance);
    const over = Date.now();
    await pause(chance.between(...downMs));
    await system.startInstance(instance);
    return { from, over };
  };

/** `kill -9` of what there is one of: it counts from when that takes connections again. */
const theOnly =
  (kill: (system: TestSystem) => Promise<void>, start: (system: TestSystem) => Promise<void>): Fault =>
  async (system, chance) => {
    const from = Date.now();
    await kill(system);
    await pause(chance.between(...downMs));
    await start(system);
    return { from, over: Date.now() };
  };

export const instances: readonly InstanceName[] = [
  'dispatcher',
  'dispatcher#2',
  'data-service',
  'data-service#2',
  'webhook-service',
  'api-gateway',
  'api-gateway#2',
];

export const faults = {
  dispatcher: oneOfTwo('dispatcher'),
  'data-service': oneOfTwo('data-service'),
  'api-gateway': oneOfTwo('api-gateway'),
  'webhook-service': theOnly(
    (system) => system.kill('webhook-service'),
    (system) => system.startInstance('webhook-service'),
  ),
  dispatchers: theOnly(
    async (system) => void (await Promise.all([system.kill('dispatcher'), system.kill('dispatcher#2')])),
    async (system) =>
      void (await Promise.all([system.startInstance('dispatcher'), system.startInstance('dispatcher#2')])),
  ),
  nats: theOnly(
    (system) => system.nats.kill(),
    (system) => system.nats.restart(),
  ),
  postgres: theOnly(
    (system) => system.postgres.kill(),
    (system) => system.postgres.restart(),
  ),
  /** SIGSTOP past the lease: the other one takes over, then the old owner wakes and still believes. */
  frozen: async (system, chance) => {
    const pid = system.pid(one('dispatcher', chance));
    const from = Date.now();
    process.kill(pid, 'SIGSTOP');
    try {
      await pause(chance.between(...frozenMs));
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    return { from, over: from };
  },
  /** Everything at once, and everything started again. */
  everything: theOnly(
    async (system) =>
      void (await Promise.all([
        system.postgres.kill(),
        system.nats.kill(),
        ...instances.map((instance) => system.kill(instance)),
      ])),
    async (system) => {
      await Promise.all([system.postgres.restart(), system.nats.restart()]);
      await Promise.all(instances.map((instance) => system.startInstance(instance)));
    },
  ),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
export const faultNames = Object.keys(faults) as FaultName[];
