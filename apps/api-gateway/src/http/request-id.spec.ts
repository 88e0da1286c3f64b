import { requestId, traceparent } from './request-id';

describe('request ids', () => {
  it.each(['abc', '0197a1-x_y.z:1', 'A'.repeat(128)])('keeps %s', (id) => {
    expect(requestId({ headers: { 'x-request-id': id } })).toBe(id);
  });

  it.each([undefined, '', 'a b', 'a\tb', 'é', '-a', '{"$ne":1}', 'A'.repeat(129)])('replaces %j', (id) => {
    expect(requestId({ headers: { 'x-request-id': id } })).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  it('passes on a trace context that is one', () => {
    const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect(traceparent({ headers: { traceparent: valid } })).toBe(valid);
    expect(traceparent({ headers: { traceparent: `${valid}x` } })).toBeUndefined();
    expect(traceparent({ headers: {} })).toBeUndefined();
  });
});
