import { type Command, given, required } from '../command';
import { ofSpace } from '../space-webhooks';
import { card, table } from '../table';

const list: Command = {
  name: 'members list',
  summary: 'Shows who may sign in for a Space',
  flags: ofSpace,
  async run({ flags, cluster }) {
    const reply = await (await cluster()).ask('admin.members.list', { space: required(flags, 'space') });
    const rows = reply.members.map(({ email, role, since }) => [email, role, since]);
    return { json: reply, text: table(['E-MAIL', 'ROLE', 'SINCE'], rows) };
  },
};

const add: Command = {
  name: 'members add',
  summary: 'Lets somebody sign in for a Space; an account that does not exist is made',
  operands: ['EMAIL'],
  flags: {
    ...ofSpace,
    role: { value: 'owner|member', description: 'owners manage keys and see the audit log; member unless told' },
    password: { value: 'P', description: 'of a new account; one is made up and printed where none is given' },
  },
  async run({ flags, operands, cluster }) {
    const member = await (
      await cluster()
    ).ask('admin.members.add', {
      space: required(flags, 'space'),
      email: operands[0] as string,
      ...given({ role: flags['role'], password: flags['password'] }),
    });
    const { email, role, since, password } = member;
    return { json: member, text: card({ email, role, since, ...(password === undefined ? {} : { password }) }) };
  },
};

const remove: Command = {
  name: 'members remove',
  summary: 'Ends at once what somebody may do in a Space; the account stays',
  operands: ['EMAIL'],
  flags: ofSpace,
  async run({ flags, operands, cluster }) {
    const space = required(flags, 'space');
    const reply = await (await cluster()).ask('admin.members.remove', { space, email: operands[0] as string });
    return { json: reply, text: `${reply.email} is no member of ${space} any more.` };
  },
};

export const memberCommands: readonly Command[] = [list, add, remove];
