export { Drain } from './drain';
export { Health } from './health';
export { PassErrors } from './pass-errors';
export { PlatformModule, SETTINGS, type PlatformParts } from './platform.module';
export { runService, type HttpDefinition, type ServiceDefinition } from './run-service';
export { Startup } from './startup';
