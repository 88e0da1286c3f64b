export { Administration } from './administration';
export { FreshNats, freshNats } from './brokers';
export { type Certificate, type CertificateOptions, TestAuthority } from './certificates';
export { type DatabaseTemplate, type FreshDatabase, freshDatabase } from './databases';
export { type Answer, HttpSink, type ReceivedRequest, type Script, type SinkOptions } from './http-sink';
export { listQuery } from './list-query';
export { FreshPostgres } from './postgres';
export { type MigrationChain, namesOf, problemsFrom, statementsOf, writtenDown } from './migration-chain';
export { onDatabase } from './on-database';
export { type Backup, OwnPostgres } from './own-postgres';
export { freePort, portIsTaken } from './servers/free-port';
export { NatsServer, type NatsOptions } from './servers/nats';
export { natsProgram } from './servers/nats-program';
export { PostgresServer, type PostgresOptions } from './servers/postgres';
export { end, isAlive, processIdentity, type ProcessIdentity } from './servers/process-identity';
export { ServerError } from './servers/server-error';
export {
  migrateAll,
  type Ready,
  type ServiceName,
  type ServiceOptions,
  ServiceProcess,
  serviceProgram,
  services,
} from './servers/service-process';
export { rowsOfSpace } from './space-rows';
export { type InstanceName, type PublishedEvent, startSystem, type SystemOptions, TestSystem } from './system';
export { waitFor } from './wait-for';
export { keyturnHome, workspaceRoot } from './workspace';
