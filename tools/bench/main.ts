import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { probeLiveEvents } from './applying';
import type { LoadPlan } from './load';
import { benchCosts } from './costs';
import { benchDeliveries } from './deliveries';
import { benchHistory } from './history';
import { benchNeighbours } from './neighbours';
import { serveSink } from './delivery-sink';
import { runLoad } from './load';
import { benchReads } from './reads';
import { serveReference } from './reads.reference';

/**
 * `npm run bench -- reads | deliveries | neighbours | history | costs`: figures as JSON lines on stdout, progress on stderr. The other words are processes
 * that a benchmark starts for itself.
 */
async function main([command, ...rest]: readonly string[]): Promise<void> {
  switch (command) {
    case 'reads': {
      const { values } = parseArgs({
        args: [...rest],
        options: { seconds: { type: 'string', default: '4' }, large: { type: 'string', default: '1000000' } },
      });
      await benchReads({ seconds: Number(values.seconds), large: Number(values.large) });
      break;
    }
    case 'deliveries': {
      const { values } = parseArgs({
        args: [...rest],
        options: { events: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '20' } },
      });
      await benchDeliveries({ events: Number(values.events), seconds: Number(values.seconds) });
      break;
    }
    case 'history': {
      const { values } = parseArgs({ args: [...rest], options: { rows: { type: 'string', default: '5000000' } } });
      await benchHistory({ rows: Number(values.rows) });
      break;
    }
    case 'neighbours': {
      const { values } = parseArgs({
        args: [...rest],
        options: { seconds: { type: 'string', default: '15' }, backlog: { type: 'string', default: '50000' } },
      });
      await benchNeighbours({ seconds: Number(values.seconds), backlog: Number(values.backlog) });
      break;
    }
    case 'costs': {
      const { values } = parseArgs({
        args: [...rest],
        options: {
          files: { type: 'string', default: '5000' },
          events: { type: 'string', default: '10000' },
          seconds: { type: 'string', default: '6' },
        },
      });
      await benchCosts({
        files: Number(values.files),
        events: Number(values.events),
        seconds: Number(values.seconds),
      });
      break;
    }
    case 'sink': {
      process.send?.(await serveSink());
      process.once('disconnect', () => process.exit(0));
      return;
    }
    case 'load': {
      const plan = await new Promise<LoadPlan>((resolve) =>
        process.once('message', (message) => resolve(message as LoadPlan)),
      );
      process.send?.(await runLoad(plan));
      break;
    }
    case 'probe': {
      const [natsUrl = '', spaceId = ''] = rest;
      process.send?.(await probeLiveEvents(natsUrl, spaceId, once(process, 'message')));
      break;
    }
    case 'reference': {
      const [databaseUrl = '', space = ''] = rest;
      const { origin } = await serveReference(databaseUrl, space);
      process.send?.(origin);
      process.once('disconnect', () => process.exit(0));
      return;
    }
    default:
      throw new Error('say which benchmark: npm run bench -- reads | deliveries | neighbours | history | costs');
  }
  process.exit(0);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
