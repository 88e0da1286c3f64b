import { createReadStream } from 'node:fs';
import { type Command, UsageError } from '../command';
import { type RefusedLine, routeLines } from '../event-lines';
import { publishAll } from '../publish';
import { table } from '../table';

/** So many refused lines are named one by one; the rest is counted. */
const namedLines = 100;

const publish: Command = {
  name: 'events publish',
  summary: 'Publishes CloudEvents, one JSON object a line',
  flags: { file: { value: 'F.ndjson', required: true, description: 'the file, or - for standard input' } },
  async run({ flags, stdin, cluster, progress }) {
    const file = flags['file'] as string;
    const { link } = await cluster();
    const refused: RefusedLine[] = [];
    let refusedCount = 0;
    const input = file === '-' ? stdin : await openFile(file);
    const lines = routeLines(input, link.connection().info?.max_payload ?? 1_048_576, (line) => {
      refusedCount++;
      if (refused.length < namedLines) refused.push(line);
    });
    const { accepted, duplicates } = await publishAll(link.connection(), lines, ({ accepted: count }) => {
      if (count % 10_000 === 0) progress(`${count} published`);
    });
    const details = refused.map(({ line, reason }) => `line ${line} ${reason}`);
    if (refusedCount > refused.length) details.push(`… and ${refusedCount - refused.length} more`);
    const repeated = duplicates ? ` (${duplicates} of them repeats)` : '';
    return {
      json: { accepted, duplicates, refused: refusedCount, refusals: refused },
      text: [`${accepted} accepted${repeated}, ${refusedCount} refused`, ...details].join('\n'),
    };
  },
};

async function openFile(file: string) {
  const stream = createReadStream(file, { highWaterMark: 1024 * 1024 });
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error: NodeJS.ErrnoException) =>
      reject(new UsageError(`${file} cannot be read (${error.code})`)),
    );
  });
  return stream;
}

const rejected: Command = {
  name: 'events rejected',
  summary: 'Shows events that data-service refused, with the reason',
  flags: { space: { value: 'SLUG', description: 'only those of this Space' } },
  async run({ flags, cluster }) {
    const running = await cluster();
    const slug = flags['space'];
    const request = slug === undefined ? {} : { spaceId: (await running.space(slug)).id };
    const reply = await running.ask('admin.events.rejected', request);
    const rows = reply.rejected.map((event) => [
      ...[event.receivedAt, event.spaceId, event.type, event.source, event.id, event.reason],
    ]);
    return { json: reply, text: table(['RECEIVED', 'SPACE', 'TYPE', 'SOURCE', 'ID', 'REASON'], rows) };
  },
};

export const eventCommands: readonly Command[] = [publish, rejected];
