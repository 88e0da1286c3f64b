import {
  completeRecord,
  parseDomainEvent,
  Rejection,
  representation,
  webhookPayload,
  type DomainEvent,
} from './domain-event';
import { eventNames } from './event-names';
import { fileResource } from './resources';

const envelope = (changes: Record<string, unknown> = {}) => ({
  specversion: '1.0',
  id: 'e-1',
  source: '/transactions',
  type: 'file.created',
  spaceid: 'spc_1',
  time: '2026-03-10T12:00:00.000Z',
  datacontenttype: 'application/json',
  data: { id: 12345, propertyAddress: '333 Main St #123', listingStatus: 'active' },
  ...changes,
});

const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

function parse(changes: Record<string, unknown> = {}, subject = 'domain.spc_1.file.created') {
  return parseDomainEvent(subject, bytes(envelope(changes)));
}

function accepted(changes: Record<string, unknown> = {}, subject?: string): DomainEvent {
  const event = parse(changes, subject);
  if (event instanceof Rejection) throw new Error(event.reason);
  return event;
}

describe('an incoming domain event', () => {
  it('T-100 T-101 T-102 T-103 T-104 T-105 T-106 has one of the 22 documented types', () => {
    expect(eventNames).toEqual([
      'user.created',
      'user.updated',
      'user.deleted',
      'contact.created',
      'contact.updated',
      'contact.deleted',
      'file.created',
      'file.updated',
      'file.deleted',
      'task.created',
      'task.updated',
      'task.completed',
      'task.deleted',
      'calendar_item.created',
      'calendar_item.updated',
      'calendar_item.deleted',
      'contingency.created',
      'contingency.updated',
      'contingency.deleted',
      'note.created',
      'note.updated',
      'note.deleted',
    ]);
    for (const type of eventNames)
      expect(parse({ type, data: { id: 1 } }, `domain.spc_1.${type}`)).toMatchObject({ recordId: 1 });
  });

  it('is read into normal forms, a field left out as null', () => {
    const event = accepted({
      time: '2026-03-10T14:00:00+02:00',
      entityversion: 7,
      data: { id: 1, reviewSubmittedAt: '2026-03-10T00:00:00.5Z', listPrice: -0, closingDate: '2028-02-29' },
    });
    expect(event).toMatchObject({ time: '2026-03-10T12:00:00.000Z', version: 7, recordId: 1, backfill: false });
    expect(event.fields).toMatchObject({
      reviewSubmittedAt: '2026-03-10T00:00:00.500Z',
      listPrice: 0,
      closingDate: '2028-02-29',
      city: null,
    });
    expect(Object.is(event.fields?.['listPrice'], -0)).toBe(false);
  });

  it('ignores unknown and derived fields, whatever their values', () => {
    const event = accepted({ data: { id: 1, status: 42, transactionType: {}, nonsense: [[]], __proto__: 1 } });
    expect(event.fields).not.toHaveProperty('status');
    expect(event.fields).not.toHaveProperty('nonsense');
  });

  it.each<[string, Record<string, unknown>, string, string?]>([
    ['another specversion', { specversion: '0.3' }, 'malformed'],
    ['no id', { id: undefined }, 'malformed'],
    ['an empty source', { source: '' }, 'malformed'],
    ['an id of 300 characters', { id: 'x'.repeat(300) }, 'malformed'],
    ['a time without an offset', { time: '2026-03-10T12:00:00' }, 'malformed'],
    ['a time that does not exist', { time: '2026-02-30T12:00:00Z' }, 'malformed'],
    ['an unknown type', { type: 'loop.created' }, 'unknown_type'],
    ['an unknown action', { type: 'file.completed' }, 'unknown_type'],
    ['a Space unlike any', { spaceid: '../../etc' }, 'unknown_space'],
    ['another Space than its subject', { spaceid: 'spc_2' }, 'subject_mismatch'],
    ['backfill on the live stream', { backfill: true }, 'subject_mismatch'],
    ['a version that is no whole number', { entityversion: 1.5 }, 'malformed'],
    ['data that is an array', { data: [] }, 'invalid_field'],
    ['no record id', { data: {} }, 'invalid_field'],
    ['a record id of zero', { data: { id: 0 } }, 'invalid_field'],
    ['a record id beyond 2^53', { data: { id: 2 ** 53 } }, 'invalid_field'],
    ['a record id as text', { data: { id: '12' } }, 'invalid_field'],
    ['a wrong enum', { data: { id: 1, listingStatus: 'ACTIVE' } }, 'invalid_field'],
    ['a wrong type', { data: { id: 1, listPrice: '100' } }, 'invalid_field'],
    ['a number beyond 2^53', { data: { id: 1, listPrice: 1e300 } }, 'invalid_field'],
    ['a fraction for a whole number', { data: { id: 1, yearBuilt: 1999.5 } }, 'invalid_field'],
    ['a day that does not exist', { data: { id: 1, closingDate: '2026-02-29' } }, 'invalid_field'],
    ['a NUL character', { data: { id: 1, name: 'a\0b' } }, 'invalid_field'],
    ['a lone surrogate', { data: { id: 1, name: 'a\ud800b' } }, 'invalid_field'],
  ])('is refused with %s', (_what, changes, code) => {
    expect(parse(changes)).toMatchObject({ code });
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['text', bytes('hello')],
    ['a number', bytes('1')],
    ['null', bytes('null')],
    ['an array', bytes('[]')],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['arrays 10,000 deep', bytes('['.repeat(10_000))],
  ])('is refused when it is %s', (_what, message) => {
    expect(parseDomainEvent('domain.spc_1.file.created', message)).toMatchObject({ code: 'malformed' });
  });

  it('needs nothing but an id to delete', () => {
    const event = accepted(
      { type: 'file.deleted', data: { id: 5, listPrice: 'no matter' } },
      'domain.spc_1.file.deleted',
    );
    expect(event).toMatchObject({ action: 'deleted', recordId: 5, fields: null });
  });
});

describe('a record', () => {
  it('T-061 T-122 shows every field in the order of its definition, unset ones as null', () => {
    const record = completeRecord(accepted(), null);
    const shown = JSON.parse(representation(fileResource, record)) as Record<string, unknown>;
    expect(Object.keys(shown)).toEqual(Object.keys(fileResource.fields));
    expect(shown).toMatchObject({ id: 12345, propertyAddress: '333 Main St #123', fileType: null });
    expect(shown['createdAt']).toBe('2026-03-10T12:00:00.000Z');
  });

  it('keeps the createdAt it has when an update leaves it out', () => {
    const first = completeRecord(accepted(), null);
    const second = completeRecord(accepted({ time: '2026-03-11T00:00:00.000Z' }), first);
    expect(second.createdAt).toBe('2026-03-10T12:00:00.000Z');
    expect(second.updatedAt).toBe('2026-03-11T00:00:00.000Z');
  });

  it.each([
    ['active', 'active'],
    ['sold', 'closed'],
    ['leased', 'closed'],
    ['done', 'closed'],
    ['archived', 'archived'],
    ['pre_offer', 'active'],
  ])('T-075 derives the coarse status of a file: %s is %s', (listingStatus, status) => {
    expect(completeRecord(accepted({ data: { id: 1, listingStatus } }), null)['status']).toBe(status);
  });

  it('derives the transaction type and a full name', () => {
    const file = completeRecord(accepted({ data: { id: 1, fileType: 'lease' } }), null);
    expect(file['transactionType']).toBe('LEASE_OFFER');
    const contact = accepted(
      { type: 'contact.created', data: { id: 1, firstName: 'Zoë', lastName: "O'Hara" } },
      'domain.spc_1.contact.created',
    );
    expect(completeRecord(contact, null)['fullName']).toBe("Zoë O'Hara");
  });

  it('T-034 never shows a password hash', () => {
    const user = accepted(
      { type: 'user.created', data: { id: 1, passwordHash: '$scrypt$abc' } },
      'domain.spc_1.user.created',
    );
    const record = completeRecord(user, null);
    expect(record['passwordHash']).toBe('$scrypt$abc');
    expect(representation(user.resource, record)).not.toContain('scrypt');
  });

  it('T-103 completes a task by event, by status or by flag', () => {
    const task = (type: string, data: object) =>
      completeRecord(accepted({ type, data: { id: 1, ...data } }, `domain.spc_1.${type}`), null);
    expect(task('task.completed', {})).toMatchObject({ completed: true, status: 'completed', completedAt: null });
    expect(task('task.updated', { status: 'completed' })).toMatchObject({ completed: true });
    expect(task('task.updated', { completed: true })).toMatchObject({ status: 'completed' });
    expect(task('task.updated', { status: 'open' })).toMatchObject({ completed: null });
  });
});

describe('a webhook payload', () => {
  it('T-108 T-110 is exactly what JSON.stringify makes of it again', () => {
    const nasty = { id: 1, name: 'Zoë "the / \\ agent" 🏡\u2028\u0001', listPrice: 0.1, remarks: '</script>' };
    const record = completeRecord(accepted({ data: nasty }), null);
    const payload = webhookPayload('file.created', representation(fileResource, record), record.updatedAt);
    expect(JSON.stringify(JSON.parse(payload))).toBe(payload);
    expect(Object.keys(JSON.parse(payload) as object)).toEqual(['event', 'data', 'timestamp']);
  });
});
