import { readFileSync } from 'node:fs';
import {
  connect,
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  ErrorCode,
  Events,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  type NatsError,
  type Subscription,
} from 'nats';
import { unavailable } from '@keyturn/contracts';
import { current } from '../config';
import type { Log } from '../logs';

export interface NatsSettings {
  readonly natsUrl: string;
  readonly natsCreds?: string | undefined;
  /** Certificates of the authorities that servers are trusted by. */
  readonly natsCa?: string | undefined;
  /** What this client shows a server that asks who it is. */
  readonly natsCert?: string | undefined;
  readonly natsKey?: string | undefined;
}

const firstTryEveryMs = 250;

/**
 * The process's one connection to NATS. It is there before the server is: until then, and whenever the server is away,
 * `connection()` says so at once instead of letting a caller hang, and the link keeps trying for ever.
 */
export class NatsLink {
  private current: NatsConnection | undefined;
  private up = false;
  /** Told when the connection breaks. No AbortSignal: as many wait as there are requests under way. */
  private readonly waiting = new Set<() => void>();
  private readonly first: Promise<NatsConnection>;
  private closing = false;
  /** Why there is no connection yet. */
  private why = '';

  constructor(
    settings: NatsSettings,
    private readonly name: string,
    private readonly log: Log,
    /** `keepTrying: false` is for a command, which says at once that there is no server; a service waits for it. */
    options: { readonly keepTrying: boolean } = { keepTrying: true },
  ) {
    this.first = this.open(settings, options.keepTrying);
    // Whoever waits for it sees the failure; nobody waiting is no reason to end the process.
    this.first.catch((error: unknown) => {
      if (!this.closing) this.log.error({ error: String(error) }, 'nats connection failed');
    });
  }

  private async open(settings: NatsSettings, keepTrying: boolean): Promise<NatsConnection> {
    const connection = await this.firstConnection(keepTrying, {
      ...serversOf(settings.natsUrl),
      name: this.name,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      // A server that went without a word is noticed within about three seconds.
      pingInterval: 1_500,
      maxPingOut: 2,
      timeout: 2_000,
      ignoreClusterUpdates: true,
      // While credentials are rotated server and file change one after the other; to give up at the second refusal, as the
      // library would, is to need a restart.
      ignoreAuthErrorAbort: true,
      authenticator: settings.natsCreds ? fromFile(settings.natsCreds) : whoeverIs(current(settings, 'natsUrl')),
      ...tlsOf(settings),
    });
    this.current = connection;
    this.up = true;
    void this.watch(connection);
    return connection;
  }

  /** The library would try again by itself, and keep to itself what is wrong. */
  private async firstConnection(keepTrying: boolean, options: ConnectionOptions): Promise<NatsConnection> {
    for (;;) {
      try {
        return await connect(options);
      } catch (error) {
        const why = complaintOf(error);
        if (!keepTrying || this.closing) throw new Error(why, { cause: error });
        if (why !== this.why) this.log.warn({ error: why }, 'nats cannot be reached');
        this.why = why;
      }
      await new Promise((resolve) => setTimeout(resolve, firstTryEveryMs));
    }
  }

  private async watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === Events.Disconnect) {
        this.up = false;
        for (const onBroken of this.waiting) onBroken();
        if (!this.closing) this.log.warn({}, 'nats disconnected');
      } else if (status.type === Events.Reconnect) {
        this.up = true;
        this.log.info({}, 'nats connected again');
      }
    }
    this.up = false;
  }

  get connected(): boolean {
    return this.up;
  }

  /** The open connection; throws `UNAVAILABLE` while there is none. */
  connection(): NatsConnection {
    if (!this.current) throw unavailable(this.why ? `NATS cannot be reached: ${this.why}` : 'NATS cannot be reached');
    if (!this.up) throw unavailable('NATS cannot be reached');
    return this.current;
  }

  /**
   * What `work` comes to, or `UNAVAILABLE` as soon as the connection breaks: what was asked before is not answered behind
   * it, and to find that out by a time-out takes seconds.
   */
  whileConnected<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const onBroken = () => reject(unavailable('The connection to NATS broke'));
      this.waiting.add(onBroken);
      void work.then(resolve, reject).finally(() => this.waiting.delete(onBroken));
    });
  }

  /**
   * Takes nothing more, and hands over what the server has sent already. Where the connection is away nothing is on its way,
   * and whoever waited for the server's word would wait until it is back.
   */
  async endSubscription(subscription: Subscription): Promise<void> {
    try {
      if (this.up) await this.whileConnected(subscription.drain());
      else subscription.unsubscribe();
    } catch (error) {
      this.log.debug({ error: String(error) }, 'the connection broke under the end of a subscription');
    }
  }

  /** Waits for the first connection. Subscriptions made on it survive every reconnect. */
  whenConnected(): Promise<NatsConnection> {
    return this.first;
  }

  jetstream(): JetStreamClient {
    return this.connection().jetstream({ timeout: 5_000 });
  }

  manager(): Promise<JetStreamManager> {
    return this.connection().jetstreamManager({ timeout: 5_000, checkAPI: false });
  }

  /** Resolves when the server answers. */
  async ping(): Promise<void> {
    await this.connection().flush();
  }

  /** Sends what is buffered, lets running handlers answer, and closes; without that where the server is away, or goes meanwhile. */
  async close(): Promise<void> {
    this.closing = true;
    const connection = this.current;
    if (!connection || connection.isClosed()) return;
    if (this.up) await this.whileConnected(connection.drain()).catch(() => undefined);
    if (!connection.isClosed()) await connection.close();
  }
}

/** `nats://user:password@host:4222,host2:4222`: the client takes whom it is apart from where it goes. */
const urlsOf = (natsUrl: string) =>
  natsUrl.split(',').map((part) => new URL(part.includes('://') ? part : `nats://${part}`));

const serversOf = (natsUrl: string): Pick<ConnectionOptions, 'servers'> => ({
  servers: urlsOf(natsUrl).map(({ host }) => host),
});

/** Asked at every connection, so that a rotated password holds from the next one on. */
const whoeverIs =
  (natsUrl: () => string): Authenticator =>
  () => {
    const named = urlsOf(natsUrl()).find(({ username }) => username !== '');
    return named ? { user: decodeURIComponent(named.username), pass: decodeURIComponent(named.password) } : undefined;
  };

/** `tls://` insists on it, and so do files; where only the server does, the machine's own authorities are asked. */
function tlsOf({ natsUrl, natsCa, natsCert, natsKey }: NatsSettings): Pick<ConnectionOptions, 'tls'> {
  if ((natsCert === undefined) !== (natsKey === undefined)) throw new Error('NATS_CERT and NATS_KEY belong together');
  const wanted = natsUrl.split(',').some((part) => part.trim().startsWith('tls://'));
  if (!wanted && natsCa === undefined && natsCert === undefined) return {};
  return {
    tls: {
      ...(natsCa === undefined ? {} : { caFile: natsCa }),
      ...(natsCert === undefined ? {} : { certFile: natsCert, keyFile: natsKey }),
    },
  };
}

/** For whoever has to set it right; the library's own words are codes. */
function complaintOf(error: unknown): string {
  const { code, message, chainedError } = error as NatsError;
  if (code === ErrorCode.ServerOptionNotAvailable) return 'TLS is asked for, and the server has none or wants another';
  const cause = chainedError ?? (error as Error);
  const text = cause.message || message || String(error);
  return code === ErrorCode.Tls || /certificate|TLS|SSL|alert/i.test(text)
    ? `TLS (NATS_CA, NATS_CERT, NATS_KEY): ${text}`
    : text;
}

/** Read at every connection, so that new credentials hold from the next one on, without a restart. */
const fromFile =
  (file: string): Authenticator =>
  (nonce) =>
    credsAuthenticator(readFileSync(file))(nonce);
