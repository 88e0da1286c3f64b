export { Drain } from './drain';
export { Health } from './health';
export { SETTINGS } from './platform.module';
export { runService, type HttpDefinition, type ServiceDefinition } from './run-service';
