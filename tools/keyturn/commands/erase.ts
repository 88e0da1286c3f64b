import { isRecordId, resourceByName, resources } from '@keyturn/contracts';
import { type Command, required, UsageError } from '../command';
import { ofSpace } from '../space-webhooks';
import { card } from '../table';

/** It waits for what was published before it, and looks through the log and the streams. */
const eraseWaitMs = 10 * 60_000;

const erase: Command = {
  name: 'erase',
  summary: 'Forgets a record and all that is kept of it, and cancels what waits of it; this cannot be undone',
  flags: {
    ...ofSpace,
    resource: { value: 'R', required: true, description: 'as in event names: file, contact, calendar_item, …' },
    id: { value: 'N', required: true, description: 'the record' },
  },
  async run({ flags, cluster }) {
    const [resource, id] = [required(flags, 'resource'), required(flags, 'id')];
    if (!resourceByName(resource))
      throw new UsageError(
        `--resource must be one of ${resources.map(({ name }) => name).join(', ')}, not "${resource}"`,
      );
    const recordId = Number(id);
    if (!/^\d+$/.test(id) || !isRecordId(recordId))
      throw new UsageError(`--id must be the id of a record, not "${id}"`);
    const running = await cluster();
    const { id: spaceId, slug } = await running.space(required(flags, 'space'));
    const erasure = await running.ask('admin.data.erase', { spaceId, resource, recordId }, eraseWaitMs);
    const shown = {
      record: erasure.deleted ? 'deleted' : 'was not there',
      'events of the log': erasure.events,
      'messages of the streams': erasure.streamMessages,
      'payloads of deliveries': erasure.payloads,
      'answers of receivers': erasure.answers,
      'deliveries cancelled': erasure.cancelled,
    };
    return {
      json: { spaceId, resource, recordId, ...erasure },
      text: `${resource} ${recordId} of ${slug} is erased:\n${card(shown)}`,
    };
  },
};

export const eraseCommands: readonly Command[] = [erase];
