import { ApiError, type OperationName, type ReplyOf, type RequestOf, type SpaceSummary } from '@keyturn/contracts';
import { readSettings, setting } from '@keyturn/platform/config';
import { CursorCodec } from '@keyturn/list-query';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient, type RpcResult } from '@keyturn/platform/rpc';
import { UsageError } from './command';

const requestWaitMs = 10_000;

const clusterSettings = {
  natsUrl: setting.optionalUrl('NATS_URL'),
  natsCreds: setting.optionalText('NATS_CREDS'),
  natsCa: setting.optionalText('NATS_CA'),
  natsCert: setting.optionalText('NATS_CERT'),
  natsKey: setting.optionalText('NATS_KEY'),
  adminToken: setting.optionalSecret('ADMIN_TOKEN'),
};

/** The running system, wherever it runs: its NATS, and the services behind it. */
export class Cluster {
  readonly rpc: RpcClient;

  private constructor(
    readonly link: NatsLink,
    private readonly adminToken: string | undefined,
  ) {
    this.rpc = new RpcClient(link);
  }

  static async connect(env: NodeJS.ProcessEnv): Promise<Cluster> {
    const { natsUrl, adminToken, ...trust } = readSettings(clusterSettings, env);
    if (!natsUrl)
      throw new UsageError('Keyturn is not running here: start it with "npm start", or name its NATS in NATS_URL');
    const link = new NatsLink({ natsUrl, ...trust }, 'keyturn', Log.create('keyturn', 'silent'), { keepTrying: false });
    try {
      await link.whenConnected();
    } catch (cause) {
      throw new ApiError(
        'UNAVAILABLE',
        `NATS does not answer at ${withoutPassword(natsUrl)}: ${(cause as Error).message}`,
        { cause },
      );
    }
    return new Cluster(link, adminToken);
  }

  /** Asks with the admin credential. */
  async ask<N extends OperationName>(
    operation: N,
    request: RequestOf<N>,
    deadlineMs = requestWaitMs,
  ): Promise<ReplyOf<N>> {
    return (await this.askWhole(operation, request, deadlineMs)).head;
  }

  /** The same, with the bytes behind the reply. */
  askWhole<N extends OperationName>(
    operation: N,
    request: RequestOf<N>,
    deadlineMs = requestWaitMs,
  ): Promise<RpcResult<N>> {
    return this.rpc.request(operation, request, { adminToken: this.credential(), deadlineMs });
  }

  /** Cursors of our own lists: they hold for whoever has the credential. */
  cursors(): CursorCodec {
    return new CursorCodec(this.credential());
  }

  /** A Space by its slug, or by its id. */
  async space(name: string): Promise<SpaceSummary> {
    const { spaces } = await this.ask('admin.spaces.list', {});
    const found = spaces.find(({ slug, id, status }) => (slug === name || id === name) && status !== 'deleted');
    if (!found) throw new ApiError('NOT_FOUND', `There is no Space "${name}"`);
    return found;
  }

  private credential(): string {
    if (!this.adminToken)
      throw new UsageError('The admin credential is missing: set ADMIN_TOKEN, or KEYTURN_HOME to the running system');
    return this.adminToken;
  }

  close(): Promise<void> {
    return this.link.close();
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
