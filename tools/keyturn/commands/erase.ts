import { isRecordId, resourceByName, resources } from '@keyturn/contracts';
import { type Command, required, UsageError } from '../command';
import { ofSpace } from '../space-webhooks';
import { card } from '../table';

/** Every payload of a record's history is rewritten. */
const eraseWaitMs = 120_000;

const erase: Command = {
  name: 'erase',
  summary: 'Removes what is kept of a record besides its id, and cancels what waits of it; this cannot be undone',
  operands: ['RESOURCE', 'ID'],
  flags: ofSpace,
  async run({ operands, flags, cluster }) {
    const [resource = '', id = ''] = operands;
    if (!resourceByName(resource))
      throw new UsageError(
        `RESOURCE must be one of ${resources.map(({ name }) => name).join(', ')}, not "${resource}"`,
      );
    const recordId = Number(id);
    if (!/^\d+$/.test(id) || !isRecordId(recordId)) throw new UsageError(`ID must be the id of a record, not "${id}"`);
    const running = await cluster();
    const { id: spaceId, slug } = await running.space(required(flags, 'space'));
    const record = { spaceId, resource, recordId };
    const erased = { webhooks: await running.ask('admin.webhooks.erase', record, eraseWaitMs) };
    const counts = Object.entries(erased).flatMap(([owner, report]) =>
      Object.entries(report).map(([kind, count]) => [`${owner} ${kind}`, count] as const),
    );
    return {
      json: { ...record, erased },
      text: `${resource} ${recordId} of ${slug} is erased:\n${card(Object.fromEntries(counts))}`,
    };
  },
};

export const eraseCommands: readonly Command[] = [erase];
