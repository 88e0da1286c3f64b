import { checkDate } from '@keyturn/contracts';
import { type Command, required, UsageError, wholeNumber } from '../command';
import { demoDay, maxDemoFiles, maxDemoSeed } from '../demo/demo-events';
import { loadDemo } from '../demo/load-demo';

const load: Command = {
  name: 'demo load',
  summary: 'Fills a Space with a made-up brokerage, the same for the same seed',
  flags: {
    space: { value: 'SLUG', required: true, description: 'the Space' },
    files: { value: '200', description: `how many transaction files, up to ${maxDemoFiles}` },
    seed: { value: '1', description: 'another seed makes other records, under ids of their own' },
    today: { value: demoDay, description: 'the day the brokerage is looked at' },
    live: { description: 'as live events, for which webhooks fire, not as a first load' },
  },
  async run({ flags, switches, cluster, progress }) {
    const files = wholeNumber(flags, 'files', 1, maxDemoFiles) ?? 200;
    const seed = wholeNumber(flags, 'seed', 1, maxDemoSeed) ?? 1;
    const today = flags['today'] ?? demoDay;
    const day = checkDate(today);
    if (!day.ok) throw new UsageError(`--today ${day.problem}`);
    const running = await cluster();
    const space = await running.space(required(flags, 'space'));
    const { events, duplicates, seconds } = await loadDemo({
      link: running.link,
      spaceId: space.id,
      files,
      seed,
      today,
      live: switches.has('live'),
      onProgress: ({ published, applied }) => progress(`${published} events published, ${applied} applied`),
    });
    const eventsPerSecond = Math.round(events / seconds);
    return {
      json: { spaceId: space.id, slug: space.slug, files, seed, events, duplicates, seconds, eventsPerSecond },
      text: `${space.slug} shows the ${files} files of seed ${seed}: ${events} events in ${seconds.toFixed(1)} s (${eventsPerSecond}/s)`,
    };
  },
};

export const demoCommands: readonly Command[] = [load];
