import { randomBytes } from 'node:crypto';
import type { ApiKeySummary, ReplyOf, RequestOf } from '@keyturn/contracts';
import type { PublishedEvent, TestSystem } from '@keyturn/testing';
import { Door } from './door';

/** A Space of its own for a test, with a key whose limit is out of the way. */
export class TestSpace {
  private constructor(
    private readonly system: TestSystem,
    readonly id: string,
    readonly slug: string,
    readonly key: string,
    readonly door: Door,
  ) {}

  static async make(system: TestSystem): Promise<TestSpace> {
    const { id, slug } = await system.createSpace({ slug: `s-${randomBytes(4).toString('hex')}` });
    const { key } = await system.createKey(slug);
    return new TestSpace(system, id, slug, key, new Door(system.baseUrl, { 'x-api-key': key }));
  }

  /** Publishes and returns once reading shows it. */
  publish(events: readonly PublishedEvent[]): Promise<void> {
    return this.system.publishAndApply(this.id, events);
  }

  /** A webhook, which must have been made: the reply of the request that makes it. Named by the path of its URL unless told. */
  async subscribe(url: string, events: readonly string[], more: object = {}): Promise<ReplyOf<'webhooks.create'>> {
    const body = { name: new URL(url).pathname, url, events, ...more };
    const { status, json, text } = await this.door.post('/api/v1/webhooks', body);
    if (status !== 201) throw new Error(`no webhook was made for ${url}: ${status} ${text}`);
    return json.data;
  }

  /** A further key as the command line makes it: 60 requests a minute unless told. */
  createKey(input: Partial<RequestOf<'admin.keys.create'>> = {}): Promise<ApiKeySummary & { key: string }> {
    return this.system.admin.request('admin.keys.create', { name: 'another', ...input, space: this.slug });
  }

  async revokeKey(id: string): Promise<void> {
    await this.system.admin.request('admin.keys.revoke', { id });
  }
}
