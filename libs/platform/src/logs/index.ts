import { pino, type Logger, type LevelWithSilent } from 'pino';

const redacted = ['adminToken', 'key', 'secret', 'signingSecret', 'password', 'authorization', 'cookie'];

/** Structured logs: one JSON line each on stdout. Fields first, then what happened, in a few fixed words. */
export class Log {
  constructor(private readonly pino: Logger) {}

  static create(service: string, level: LevelWithSilent): Log {
    return new Log(
      pino({
        level,
        base: { service, pid: process.pid },
        timestamp: pino.stdTimeFunctions.isoTime,
        messageKey: 'message',
        formatters: { level: (label) => ({ level: label }) },
        redact: { paths: redacted.flatMap((path) => [path, `*.${path}`]), censor: '[secret]' },
      }),
    );
  }

  child(fields: object): Log {
    return new Log(this.pino.child(fields));
  }

  debug(fields: object, message: string): void {
    this.pino.debug(fields, message);
  }

  info(fields: object, message: string): void {
    this.pino.info(fields, message);
  }

  warn(fields: object, message: string): void {
    this.pino.warn(fields, message);
  }

  error(fields: object, message: string): void {
    this.pino.error(fields, message);
  }
}
