import path from 'node:path';
import type { Migration } from '@keyturn/platform/database';
import { type MigrationChain, namesOf, problemsFrom, statementsOf, writtenDown } from '@keyturn/testing';
import type { QueryRunner } from 'typeorm';
import { migrations } from '.';

const access = (n: number) => `
  insert into access.space (slug, name, owner_email) values ('space-${n}', 'Space', 'a@b.example');
  insert into access.account (email, password_hash) values ('a${n}@b.example', 'x');
  insert into access.membership (space_id, account_id, role) select s.id, a.id, 'owner'
    from access.space s, access.account a where slug = 'space-${n}' and email = 'a${n}@b.example';
  insert into access.session (sha256, account_id, expires_at)
    select sha256('session ${n}'), id, now() from access.account where email = 'a${n}@b.example';
  insert into access.login_attempt (subject) values ('a${n}@b.example');
  insert into access.api_key (space_id, name, prefix, sha256, scopes, rate_limit, created_by)
    select id, 'key', 'tc_live_', sha256('key ${n}'), '{read}', 60, 'test' from access.space where slug = 'space-${n}';
  insert into access.key_state (key_id) select id from access.api_key where sha256 = sha256('key ${n}');
  select * from access.admit(sha256('key ${n}'), 1, null);
  insert into access.audit (actor, action, object) values ('test', 'write', '${n}');
`;
const spaceLife = (n: number) => `
  insert into access.space (slug, name, owner_email, status, deletion_began_at, deleted_at, purged_at)
    values ('ended-${n}', '', '', 'deleted', now(), now(), now());
`;

const chain: MigrationChain = {
  name: 'access',
  migrations,
  writes: { Access1763600000000: access, SpaceLife1763600800000: spaceLife },
  statementsFolder: path.join(__dirname, 'statements'),
};

class Later9000000000001 implements Migration {
  readonly safeForRunningVersion = true;
  up = (runner: QueryRunner) => runner.query(this.change);
  down = () => Promise.reject(new Error('migrations go forward only'));
  protected readonly change: string = 'alter table access.space add column color text';
}
class Later9000000000002 extends Later9000000000001 {
  protected override readonly change = 'alter table access.audit rename column detail to details';
}
class Later9000000000003 extends Later9000000000001 {
  protected override readonly change = `alter table access.account add column country text not null default '';
    alter table access.account alter column country drop default`;
}
class Later9000000000004 extends Later9000000000001 {
  protected override readonly change = `update access.account set password_hash = ''`;
}

describe('schema access', () => {
  it.each(namesOf(chain))('keeps what a version with %s wrote, and lets it run on', async (point) => {
    expect(await problemsFrom(point, chain)).toEqual([]);
  });

  it('has statements of an older version to hold its migrations against', () => {
    expect(namesOf(chain)).toEqual(expect.arrayContaining(writtenDown(chain)));
    for (const point of writtenDown(chain)) expect(Object.keys(statementsOf(chain, point)).length).toBeGreaterThan(20);
  });

  it.each([
    ['adds a column', Later9000000000001, []],
    [
      'renames a column',
      Later9000000000002,
      [expect.stringContaining('is not as'), expect.stringContaining('"detail"')],
    ],
    ['asks for a value that nobody gives', Later9000000000003, [expect.stringContaining('cannot write')]],
    ['changes what was written', Later9000000000004, [expect.stringContaining('access.account')]],
  ] as const)('would show that a migration which %s is called safe', async (_what, migration, expected) => {
    const longer = { ...chain, migrations: [...migrations, migration] };
    const problems = await problemsFrom('Access1763600000000', longer);
    expect(problems).toEqual(expected.length ? expect.arrayContaining([...expected]) : []);
  });
});
