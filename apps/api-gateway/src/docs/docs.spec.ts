import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';
import { openApiDocument } from '../openapi/document';
import { BrowserPage, findBrowser } from './browser.fixture';

jest.setTimeout(90_000);

describe('what is public beside the API', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'data.list': () => reply({ count: 1, total: 1, next: null }, '{"id":12345,"name":"Zoë’s house"}'),
    });
    gateway = await RunningGateway.start(database.url, nats.url);
  });

  afterAll(async () => {
    await gateway?.close();
    await services?.close();
    await nats?.stop();
    await database?.drop();
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}${path}`, { headers, redirect: 'manual' });

  it('serves the OpenAPI document without a key, with an ETag', async () => {
    const response = await get('/api/v1/openapi.json');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.json()).toEqual(openApiDocument());
    const again = await get('/api/v1/openapi.json', { 'if-none-match': response.headers.get('etag') ?? '' });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('serves a page at /docs whose every asset is its own', async () => {
    const response = await get('/docs');
    const html = await response.text();
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toMatch(
      /default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(html).toContain('<title>Keyturn API reference</title>');
    expect(html).not.toMatch(/https?:/);
    const assets = [...html.matchAll(/(?:src|href)="(\/docs\/assets\/[^"]+)"/g)].map(([, path]) => path as string);
    expect(new Set(assets).size).toBe(5);
    for (const asset of assets) {
      const { status, headers } = await get(asset);
      expect({ asset, status }).toEqual({ asset, status: 200 });
      expect(headers.get('cache-control')).toContain('immutable');
    }
  });

  it.each(['/docs/assets/package.json', '/docs/assets/..%2Fpackage.json', '/docs/assets/%2e%2e%2f%2e%2e%2fnx.json'])(
    'shows no other file: %s',
    async (path) => {
      const { status, headers } = await get(path);
      expect(status).toBe(404);
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    },
  );

  const browser = findBrowser();
  if (browser)
    it(`lets people try a request at /docs, in ${browser}`, async () => {
      await gateway.createSpace('acme');
      const { key } = await gateway.createKey('acme');
      const page = await BrowserPage.open(browser);
      try {
        await page.goTo(`${gateway.url}/docs#/Files/listFiles`);
        const shown = (selector: string) =>
          waitFor(selector, () => page.evaluate(`!!document.querySelector('${selector}')`), 30_000);
        const click = async (selector: string) => {
          await shown(selector);
          await page.evaluate(`document.querySelector('${selector}').click()`);
        };
        await shown('.try-out__btn');
        await page.evaluate(`window.ui.preauthorizeApiKey('ApiKey', '${key}')`);
        await click('.try-out__btn');
        await click('.execute');
        await shown('.live-responses-table td.response-col_status');
        const answer = await page.evaluate(`document.querySelector('.live-responses-table').innerText`);
        expect(answer).toContain('Zoë’s house');
        expect(page.complaints).toEqual([]);
        const outside = page.requested.filter((url) => !url.startsWith(gateway.url) && !url.startsWith('data:'));
        expect(outside).toEqual([]);
      } finally {
        await page.close();
      }
    });
  else
    it('works without the outside (no Chromium on this machine: its script and styles were read instead)', async () => {
      const html = await (await get('/docs')).text();
      const script = /src="(\/docs\/assets\/page\.js[^"]*)"/.exec(html)?.[1] ?? '';
      const source = await (await get(script)).text();
      expect(source).toContain('validatorUrl: null');
      expect(source).not.toMatch(/https?:/);
    });
});
