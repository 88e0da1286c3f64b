import { ApiError, type OperationName, type ReplyOf, type RequestOf, type SpaceSummary } from '@keyturn/contracts';
import { readSettings, setting } from '@keyturn/platform/config';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient } from '@keyturn/platform/rpc';
import { UsageError } from './command';

const requestWaitMs = 10_000;

const clusterSettings = {
  natsUrl: setting.optionalUrl('NATS_URL'),
  natsCreds: setting.optionalText('NATS_CREDS'),
  natsCa: setting.optionalText('NATS_CA'),
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
      throw new ApiError('UNAVAILABLE', `NATS does not answer at ${withoutPassword(natsUrl)}`, { cause });
    }
    return new Cluster(link, adminToken);
  }

  /** Asks with the admin credential. */
  async ask<N extends OperationName>(
    operation: N,
    request: RequestOf<N>,
    deadlineMs = requestWaitMs,
  ): Promise<ReplyOf<N>> {
    const { adminToken } = this;
    if (!adminToken)
      throw new UsageError('The admin credential is missing: set ADMIN_TOKEN, or KEYTURN_HOME to the running system');
    const { head } = await this.rpc.request(operation, request, { adminToken, deadlineMs });
    return head;
  }

  /** A Space by its slug, or by its id. */
  async space(name: string): Promise<SpaceSummary> {
    const { spaces } = await this.ask('admin.spaces.list', {});
    const found = spaces.find(({ slug, id, status }) => (slug === name || id === name) && status !== 'deleted');
    if (!found) throw new ApiError('NOT_FOUND', `There is no Space "${name}"`);
    return found;
  }

  close(): Promise<void> {
    return this.link.close();
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
