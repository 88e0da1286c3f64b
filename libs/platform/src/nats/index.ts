export { NatsLink, type NatsSettings } from './link';
export { ensureStreams, streams } from './streams';
