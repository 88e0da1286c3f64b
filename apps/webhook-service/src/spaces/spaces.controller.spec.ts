import type { RequestOf } from '@keyturn/contracts';
import { WebhookServiceFixture } from '../webhooks/webhooks.fixture';
import type { WebhookHints } from '../webhooks/webhook-hints';
import { SpacesController } from './spaces.controller';

describe('webhooks.space.put', () => {
  let fixture: WebhookServiceFixture;
  beforeAll(async () => (fixture = await WebhookServiceFixture.open()));
  afterAll(() => fixture.close());

  async function put(request: object): Promise<string[]> {
    const hinted: string[] = [];
    const hints = { changed: (id: string) => void hinted.push(id) } as unknown as WebhookHints;
    const call = { request: request as RequestOf<'webhooks.space.put'>, body: new Uint8Array(0), deadline: 0 };
    await new SpacesController(fixture.database, hints).put(call);
    return hinted.sort();
  }

  const webhook = async (spaceId: string) => {
    const input = { name: 'CRM', url: 'https://example.com/hook', events: ['file.created'] };
    return (await fixture.service().create(spaceId, input)).id;
  };

  it('tells the dispatchers of every webhook of the Space, again when it is repeated', async () => {
    const mine = [await webhook('spc_1'), await webhook('spc_1')].sort();
    await webhook('spc_2');
    for (const status of ['suspended', 'suspended', 'active', 'deleted', 'deleted'])
      expect(await put({ spaceId: 'spc_1', status })).toEqual(mine);
  });

  it('what a suspended Space’s webhooks are stays as its owner sees it; a test is refused, a webhook is made', async () => {
    const id = await webhook('spc_3');
    await put({ spaceId: 'spc_3', status: 'suspended' });
    expect(await fixture.service().get('spc_3', id)).toMatchObject({ status: 'active', isActive: true });
    await expect(fixture.service().test('spc_3', id)).rejects.toMatchObject({ code: 'CONFLICT' });
    await webhook('spc_3');
    await put({ spaceId: 'spc_3', status: 'active' });
    expect((await fixture.service().test('spc_3', id)).status).toBe('success');
  });

  it('refuses what is no Space and no status, and what would bring a deleted one back', async () => {
    for (const wrong of [
      { spaceId: 'acme', status: 'active' },
      { spaceId: 7, status: 'active' },
      { spaceId: 'spc_4', status: 'gone' },
    ])
      await expect(put(wrong)).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
    await put({ spaceId: 'spc_4', status: 'deleted' });
    await expect(put({ spaceId: 'spc_4', status: 'active' })).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(webhook('spc_4')).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
