import { type Command, required, wholeNumber } from '../command';
import { card, table } from '../table';

const create: Command = {
  name: 'keys create',
  summary: 'Makes an API key; the key is shown this once',
  flags: {
    space: { value: 'SLUG', required: true, description: 'the Space whose data the key reads' },
    name: { value: 'NAME', required: true, description: 'what the key is for' },
    'rate-limit': { value: '60', description: 'requests a minute, up to 1,000,000' },
    'expires-at': { value: 'ISO', description: 'when the key ends, such as 2027-01-01T00:00:00Z' },
    scopes: { value: 'read,webhooks:write', description: 'what the key may do' },
  },
  async run({ flags, cluster }) {
    const rateLimit = wholeNumber(flags, 'rate-limit', 1, 1_000_000);
    const scopes = flags['scopes']?.split(',').map((scope) => scope.trim());
    const key = await (
      await cluster()
    ).ask('admin.keys.create', {
      space: required(flags, 'space'),
      name: required(flags, 'name'),
      ...(rateLimit === undefined ? {} : { rateLimit }),
      ...(flags['expires-at'] === undefined ? {} : { expiresAt: flags['expires-at'] }),
      ...(scopes === undefined ? {} : { scopes }),
    });
    const text = card({
      id: key.id,
      key: key.key,
      name: key.name,
      scopes: key.scopes.join(', '),
      limit: `${key.rateLimit} a minute`,
      expires: key.expiresAt ?? 'never',
    });
    return { json: key, text: `${text}\n\nKeep the key safe: it is not shown again.` };
  },
};

const list: Command = {
  name: 'keys list',
  summary: 'Shows a Space’s keys, never the keys themselves',
  flags: { space: { value: 'SLUG', required: true, description: 'the Space' } },
  async run({ flags, cluster }) {
    const reply = await (await cluster()).ask('admin.keys.list', { space: required(flags, 'space') });
    const rows = reply.keys.map((key) => [
      ...[key.id, key.name, key.prefix, key.scopes.join(','), key.rateLimit],
      ...[key.createdAt, key.lastUsedAt, key.expiresAt, key.revokedAt],
    ]);
    const headings = ['ID', 'NAME', 'PREFIX', 'SCOPES', 'LIMIT', 'CREATED', 'LAST USED', 'EXPIRES', 'REVOKED'];
    return { json: reply, text: table(headings, rows) };
  },
};

const revoke: Command = {
  name: 'keys revoke',
  summary: 'Ends a key; holds everywhere once the command returns',
  operands: ['ID'],
  async run({ operands, cluster }) {
    const reply = await (await cluster()).ask('admin.keys.revoke', { id: operands[0] as string });
    return { json: reply, text: `${reply.id} is revoked since ${reply.revokedAt}.` };
  },
};

export const keyCommands: readonly Command[] = [create, list, revoke];
