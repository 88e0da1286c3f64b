import { startSystem, type TestSystem } from './index';

describe('a system of a test', () => {
  let system: TestSystem;
  beforeAll(async () => {
    system = await startSystem({ gateways: 2 });
  });
  afterAll(() => system.stop());

  const get = (url: string, key: string): Promise<Response> => fetch(url, { headers: { 'X-API-Key': key } });

  it('shows through every gateway what was published', async () => {
    const { id, slug } = await system.createSpace();
    const { key } = await system.createKey(slug);
    await system.publishAndApply(id, [{ type: 'file.created', data: { id: 7, propertyAddress: '1 Main St' } }]);
    for (const gateway of ['api-gateway', 'api-gateway#2'] as const) {
      const response = await get(`${system.gatewayUrl(gateway)}/api/v1/files/7`, key);
      expect(await response.json()).toMatchObject({ data: { id: 7, propertyAddress: '1 Main St' } });
    }
  });

  it('goes on after an instance was killed and started again', async () => {
    const { id, slug } = await system.createSpace();
    const { key } = await system.createKey(slug);
    await system.kill('data-service');
    await system.publish(id, [{ type: 'note.created', data: { id: 1, content: 'while it was away' } }]);
    await system.startInstance('data-service');
    await system.applied();
    const response = await get(`${system.baseUrl}/api/v1/notes`, key);
    expect(await response.json()).toMatchObject({ pagination: { total: 1 } });
  });
});
