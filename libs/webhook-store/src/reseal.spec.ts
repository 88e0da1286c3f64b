import { PostgresDispatchStore } from './dispatch/dispatch-store';
import { reseal } from './reseal';
import { SecretBox } from './secret-box';
import { StoreFixture, storeKey } from './store.fixture';

describe('a new SECRETS_KEY', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  afterAll(() => store.close());

  it('takes over while everything goes on; then the old one may go', async () => {
    const webhook = await store.webhook('spc_1', { signingSecret: 'whsec_one', headers: { 'X-Env': 'prod' } });
    await store.webhooks.rotate('spc_1', webhook.id, { signingSecret: 'whsec_two', overlapMs: 60_000 });
    await store.webhook('spc_2', { signingSecret: 'whsec_three' });
    const asymmetric = await store.webhook('spc_2', { signingSecret: 'whsec_four', signatureScheme: 'v1a' });
    await store.webhooks.rotate('spc_2', asymmetric.id, { signingSecret: 'whsec_five', overlapMs: 60_000 });
    const [before] = await store.dispatch.endpoints(['3']);
    const newKey = 'another key for tests of at least thirty-two characters';
    const both = new SecretBox(newKey, [storeKey]);
    expect(await reseal(store.database, both)).toEqual({ resealed: 8, left: 0 });
    expect(await reseal(store.database, both)).toEqual({ resealed: 0, left: 0 });
    const options = { maxAttempts: 9, probeIntervalMs: 60_000 };
    const after = new PostgresDispatchStore(store.database, new SecretBox(newKey), options);
    expect(await after.endpoints(['1', '2', '3'])).toMatchObject([
      { secrets: ['whsec_two', 'whsec_one'], headers: { 'X-Env': 'prod' } },
      { secrets: ['whsec_three'], signatureKeys: [] },
      { secrets: ['whsec_five', 'whsec_four'], signatureKeys: before?.signatureKeys },
    ]);
    expect(before?.signatureKeys).toEqual([expect.stringMatching(/^whsk_/), expect.stringMatching(/^whsk_/)]);
  });
});
