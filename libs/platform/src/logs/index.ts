import { pino, type Logger, type LevelWithSilent } from 'pino';
import { currentSpan } from '../tracing';

const redacted = ['adminToken', 'key', 'secret', 'signingSecret', 'password', 'authorization', 'cookie'];

/** Lines gather up to so many bytes or ms: a system call for each would cost more than making it. */
const gatherBytes = 8_192;
const gatherMs = 50;

type Output = ReturnType<typeof pino.destination>;
let output: Output | undefined;
let waiting: NodeJS.Timeout | undefined;

/** The process's stdout. */
function stdout(): Output {
  if (output) return output;
  const opened = pino.destination({ dest: 1, sync: true, minLength: gatherBytes });
  process.on('exit', () => opened.flushSync());
  return (output = opened);
}

/** Writes what has gathered. */
function flush(): void {
  clearTimeout(waiting);
  waiting = undefined;
  output?.flush();
}

/** A line has been written: it goes out soon, with those that follow it. */
function gather(): void {
  waiting ??= setTimeout(flush, gatherMs).unref();
}

const noFields = {};

/** The trace that a line belongs to, where there are traces. What the line says itself goes first. */
function traceFields(): object {
  const span = currentSpan();
  return span ? { traceId: span.traceId } : noFields;
}

/** Structured logs: one JSON line each on stdout. Fields first, then what happened, in a few fixed words. */
export class Log {
  private constructor(private readonly pino: Logger) {}

  static create(service: string, level: LevelWithSilent): Log {
    const logger = pino(
      {
        level,
        base: { service, pid: process.pid },
        timestamp: pino.stdTimeFunctions.isoTime,
        messageKey: 'message',
        mixin: traceFields,
        mixinMergeStrategy: (line, fields) => (fields === noFields ? line : { ...fields, ...line }),
        formatters: { level: (label) => ({ level: label }) },
        redact: { paths: redacted.flatMap((path) => [path, `*.${path}`]), censor: '[secret]' },
      },
      stdout(),
    );
    return new Log(logger);
  }

  child(fields: object): Log {
    return new Log(this.pino.child(fields));
  }

  /** For lines that come by the thousand, with fields that are all named where they are written: secrets are not looked for. */
  unsearched(): Log {
    return new Log(this.pino.child({}, { redact: [] }));
  }

  debug(fields: object, message: string): void {
    this.pino.debug(fields, message);
    gather();
  }

  info(fields: object, message: string): void {
    this.pino.info(fields, message);
    gather();
  }

  warn(fields: object, message: string): void {
    this.pino.warn(fields, message);
    gather();
  }

  error(fields: object, message: string): void {
    this.pino.error(fields, message);
    flush();
  }
}
