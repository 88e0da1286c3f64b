import type { OperationName, ReplyOf, RequestOf } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient } from '@keyturn/platform/rpc';

/** Long enough for a service that has just come up. */
const DEADLINE_MS = 10_000;

/** The operations of the command line, for programs that hold the admin credential of a running system. */
export class Administration {
  private readonly rpc: RpcClient;

  private constructor(
    private readonly link: NatsLink,
    private readonly adminToken: string,
  ) {
    this.rpc = new RpcClient(link);
  }

  static async connect(natsUrl: string, adminToken: string): Promise<Administration> {
    const link = new NatsLink({ natsUrl }, 'administration', Log.create('administration', 'silent'));
    await link.whenConnected();
    return new Administration(link, adminToken);
  }

  /** Services ask one another the other operations in the same way. */
  async request<N extends OperationName>(operation: N, request: RequestOf<N>): Promise<ReplyOf<N>> {
    const { head } = await this.rpc.request(operation, request, {
      adminToken: this.adminToken,
      deadlineMs: DEADLINE_MS,
    });
    return head;
  }

  close(): Promise<void> {
    return this.link.close();
  }
}
