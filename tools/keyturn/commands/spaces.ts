import { type Command, required } from '../command';
import { card, table } from '../table';

const create: Command = {
  name: 'spaces create',
  summary: 'Makes a Space and its owner',
  flags: {
    name: { value: 'NAME', required: true, description: 'as people call it' },
    slug: { value: 'SLUG', required: true, description: 'its host label: lower-case letters, digits and hyphens' },
    'owner-email': { value: 'E', required: true, description: 'who signs in as its owner' },
    'owner-password': { value: 'P', description: 'one is made up and printed where none is given' },
  },
  async run({ flags, cluster }) {
    const password = flags['owner-password'];
    const space = await (
      await cluster()
    ).ask('admin.spaces.create', {
      name: required(flags, 'name'),
      slug: required(flags, 'slug'),
      ownerEmail: required(flags, 'owner-email'),
      ...(password === undefined ? {} : { ownerPassword: password }),
    });
    const { id, slug, name, ownerEmail, ownerPassword } = space;
    return {
      json: space,
      text: card({ id, slug, name, owner: ownerEmail, ...(ownerPassword ? { password: ownerPassword } : {}) }),
    };
  },
};

const list: Command = {
  name: 'spaces list',
  summary: 'Shows every Space',
  async run({ cluster }) {
    const reply = await (await cluster()).ask('admin.spaces.list', {});
    const rows = reply.spaces.map(({ id, slug, name, status, ownerEmail, createdAt }) => [
      ...[id, slug, name, status, ownerEmail, createdAt],
    ]);
    return { json: reply, text: table(['ID', 'SLUG', 'NAME', 'STATUS', 'OWNER', 'CREATED'], rows) };
  },
};

const suspend: Command = {
  name: 'spaces suspend',
  summary: 'Refuses a Space’s keys and events from now on, and sends nothing for it: what is owed waits',
  operands: ['SLUG'],
  async run({ operands, cluster }) {
    const space = await (await cluster()).ask('admin.spaces.suspend', { slug: operands[0] as string });
    return { json: space, text: `${space.slug} (${space.id}) is ${space.status}.` };
  },
};

const resume: Command = {
  name: 'spaces resume',
  summary: 'Takes a suspended Space’s events and keys again, and sends what has waited',
  operands: ['SLUG'],
  async run({ operands, cluster }) {
    const space = await (await cluster()).ask('admin.spaces.resume', { slug: operands[0] as string });
    return { json: space, text: `${space.slug} (${space.id}) is ${space.status}.` };
  },
};

const remove: Command = {
  name: 'spaces delete',
  summary:
    'Ends a Space: keys and webhooks are dead at once, nothing of it is served, and after a while retention forgets it',
  operands: ['SLUG'],
  flags: { confirm: { value: 'SLUG', required: true, description: 'the slug once more' } },
  async run({ operands, flags, cluster }) {
    const slug = operands[0] as string;
    const reply = await (await cluster()).ask('admin.spaces.delete', { slug, confirm: required(flags, 'confirm') });
    return { json: reply, text: `${slug} (${reply.id}) is deleted.` };
  },
};

export const spaceCommands: readonly Command[] = [create, list, suspend, resume, remove];
