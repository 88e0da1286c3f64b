import { StoreFixture } from './store.fixture';

describe('the scheme of signatures', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  afterAll(() => store.close());

  const endpoint = async (id: string) => {
    const [found] = await store.dispatch.endpoints([id.slice('wh_'.length)]);
    if (!found) throw new Error(`no ${id}`);
    return found;
  };
  const change = async (id: string, signatureScheme: 'v1' | 'v1a') => {
    const changed = await store.webhooks.update('spc_1', id, { signatureScheme }, store.position('spc_1'));
    if (!changed) throw new Error(`no ${id}`);
    return changed;
  };
  const keysOf = async (keysId: string | null) => {
    const keys = await store.webhooks.publicKeys(keysId ?? '');
    return keys?.map(({ publicKey }) => publicKey);
  };
  /** As if an overlap had run out. */
  const end = (column: 'previous_secret_until' | 'previous_scheme_until', id: string) =>
    store.database.acrossSpaces('a test moves time').query(
      {
        name: `test.end.${column}`,
        text: `update webhooks.endpoint set ${column} = now() - interval '5 ms' where id = $1 and ${column} is not null`,
      },
      [id.slice('wh_'.length)],
    );

  it('is v1 unless chosen: no key pair, no public keys', async () => {
    const webhook = await store.webhook('spc_1');
    expect(webhook).toMatchObject({
      signatureScheme: 'v1',
      previousSchemeUntil: null,
      publicKey: null,
      publicKeysId: null,
    });
    expect(await endpoint(webhook.id)).toMatchObject({ signatureScheme: 'v1', signatureKeys: [] });
  });

  it('v1a has a key pair of its own: sealed, and its public half under a name that cannot be guessed', async () => {
    const [one, two] = [
      await store.webhook('spc_1', { signatureScheme: 'v1a' }),
      await store.webhook('spc_2', { signatureScheme: 'v1a' }),
    ];
    expect(one.publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    expect(one.publicKey).not.toBe(two.publicKey);
    expect(one.publicKeysId).not.toBe(two.publicKeysId);
    expect(await store.webhooks.publicKeys(one.publicKeysId ?? '')).toEqual([
      { publicKey: one.publicKey, until: null },
    ]);
    const { signatureKeys } = await endpoint(one.id);
    expect(signatureKeys).toEqual([expect.stringMatching(/^whsk_/)]);
    const [row] = await store.database
      .acrossSpaces('a test looks at what is stored')
      .query<{ row: string }>(
        { name: 'test.endpoint.text', text: 'select e::text as row from webhooks.endpoint e where id = $1' },
        [one.id.slice('wh_'.length)],
      );
    const seed = Buffer.from((signatureKeys[0] ?? '').slice('whsk_'.length), 'base64').subarray(0, 32);
    expect(row?.row).not.toContain('whsk_');
    expect(row?.row).not.toContain(seed.toString('hex'));
    expect(row?.row).not.toContain(seed.toString('base64').slice(0, 40));
  });

  it('public keys are found by nothing but their name, and go with their webhook', async () => {
    const { id, publicKeysId } = await store.webhook('spc_1', { signatureScheme: 'v1a' });
    for (const name of ['', id, '1', 'x'.repeat(36), '00000000-0000-4000-8000-000000000000', `${publicKeysId} `])
      expect([name, await store.webhooks.publicKeys(name)]).toEqual([name, undefined]);
    expect(await keysOf(publicKeysId)).toHaveLength(1);
    await store.webhooks.remove('spc_1', id);
    expect(await keysOf(publicKeysId)).toBeUndefined();
    expect((await endpoint(id)).signatureKeys).toEqual([]);
  });

  it('a rotation replaces secret and key pair; those before sign, and are listed, until it ends', async () => {
    const before = await store.webhook('spc_1', { signatureScheme: 'v1a', signingSecret: 'whsec_before' });
    const [oldKey] = (await endpoint(before.id)).signatureKeys;
    const after = await store.webhooks.rotate('spc_1', before.id, { signingSecret: 'whsec_after', overlapMs: 60_000 });
    expect(after?.publicKey).not.toBe(before.publicKey);
    expect(after?.publicKeysId).toBe(before.publicKeysId);
    expect(await store.webhooks.publicKeys(before.publicKeysId ?? '')).toEqual([
      { publicKey: after?.publicKey, until: null },
      { publicKey: before.publicKey, until: after?.previousSecretUntil },
    ]);
    const during = await endpoint(before.id);
    expect(during.secrets).toEqual(['whsec_after', 'whsec_before']);
    expect(during.signatureKeys).toEqual([expect.not.stringContaining(oldKey ?? ''), oldKey]);
    await end('previous_secret_until', before.id);
    expect(await keysOf(before.publicKeysId)).toEqual([after?.publicKey]);
    expect((await endpoint(before.id)).signatureKeys).toHaveLength(1);
    const at = await store.webhooks.rotate('spc_1', before.id, { signingSecret: 'whsec_third', overlapMs: 0 });
    expect(await keysOf(before.publicKeysId)).toEqual([at?.publicKey]);
    expect((await endpoint(before.id)).signatureKeys).toHaveLength(1);
  });

  it('a rotation of v1 makes no key pair', async () => {
    const { id } = await store.webhook('spc_1');
    const after = await store.webhooks.rotate('spc_1', id, { signingSecret: 'whsec_after', overlapMs: 60_000 });
    expect(after).toMatchObject({ signatureScheme: 'v1', publicKey: null, publicKeysId: null });
    expect((await endpoint(id)).signatureKeys).toEqual([]);
  });

  it('after a change of scheme both sign for a day, and going back in that time keeps the key', async () => {
    const { id } = await store.webhook('spc_1');
    const asymmetric = await change(id, 'v1a');
    const until = Date.parse(asymmetric.previousSchemeUntil ?? '');
    expect(until).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    expect(await endpoint(id)).toMatchObject({ signatureScheme: 'v1a', previousSchemeUntil: until });
    const symmetric = await change(id, 'v1');
    expect(symmetric).toMatchObject({ signatureScheme: 'v1', publicKey: null, publicKeysId: null });
    // The key still signs, so it is still listed, and its end is named.
    expect(await store.webhooks.publicKeys(asymmetric.publicKeysId ?? '')).toEqual([
      { publicKey: asymmetric.publicKey, until: symmetric.previousSchemeUntil },
    ]);
    const again = await change(id, 'v1a');
    expect([again.publicKey, again.publicKeysId]).toEqual([asymmetric.publicKey, asymmetric.publicKeysId]);
  });

  it('what has ended signs no more and is listed no more; a key that comes later is another one', async () => {
    const first = await store.webhook('spc_1', { signatureScheme: 'v1a' });
    const rotated = await store.webhooks.rotate('spc_1', first.id, { signingSecret: 'whsec_2', overlapMs: 60_000 });
    await change(first.id, 'v1');
    await end('previous_scheme_until', first.id);
    expect(await keysOf(first.publicKeysId)).toBeUndefined();
    expect((await endpoint(first.id)).previousSchemeUntil).toBeNull();
    const later = await change(first.id, 'v1a');
    expect(later.publicKeysId).toBe(first.publicKeysId);
    expect([first.publicKey, rotated?.publicKey]).not.toContain(later.publicKey);
    expect(await keysOf(first.publicKeysId)).toEqual([later.publicKey]);
  });

  it('another setting leaves the keys alone', async () => {
    const before = await store.webhook('spc_1', { signatureScheme: 'v1a' });
    const after = await store.webhooks.update('spc_1', before.id, { name: 'other', signatureScheme: 'v1a' }, 0);
    expect(after).toMatchObject({
      publicKey: before.publicKey,
      publicKeysId: before.publicKeysId,
      previousSchemeUntil: null,
    });
  });

  it('the other URL of a replay signs with the key of its webhook, through a rotation too', async () => {
    const { id } = await store.webhook('spc_1', { signatureScheme: 'v1a' });
    const now = new Date();
    await store.replays.create('spc_1', id, {
      since: new Date(now.getTime() - 60_000).toISOString(),
      until: now.toISOString(),
      events: null,
      selection: 'all',
      ratePerSecond: null,
      url: 'https://example.com/other',
      dryRun: false,
    });
    const [target] = await store.database
      .acrossSpaces('a test looks at everything')
      .query<{ id: string }>({ name: 'test.child', text: 'select id from webhooks.endpoint where parent_id = $1' }, [
        id.slice('wh_'.length),
      ]);
    const both = async () => [await endpoint(id), await endpoint(`wh_${target?.id}`)] as const;
    const [before, beforeTarget] = await both();
    expect(beforeTarget).toMatchObject({ signatureScheme: 'v1a', signatureKeys: before.signatureKeys });
    await store.webhooks.rotate('spc_1', id, { signingSecret: 'whsec_next', overlapMs: 60_000 });
    const [after, afterTarget] = await both();
    expect(after.signatureKeys).toEqual([expect.any(String), before.signatureKeys[0]]);
    expect(afterTarget).toMatchObject({ secrets: after.secrets, signatureKeys: after.signatureKeys });
    expect(afterTarget.revision).toBeGreaterThan(beforeTarget.revision);
  });
});
