import { readSettings } from '@keyturn/platform/config';
import { gatewaySettings } from './settings';

describe('settings of the gateway', () => {
  const read = (env: Record<string, string>) =>
    readSettings(gatewaySettings, {
      DATABASE_URL: 'postgres://localhost/x',
      NATS_URL: 'nats://localhost',
      SECRETS_KEY: 's'.repeat(32),
      ADMIN_TOKEN: 'a'.repeat(32),
      ...env,
    });

  it.each([
    [undefined, false],
    ['off', false],
    ['true', 1],
    ['2', 2],
    ['10.0.0.0/8, fd00::/8', '10.0.0.0/8,fd00::/8'],
  ])('TRUST_PROXY=%s means %j', (text, meaning) => {
    expect(read(text === undefined ? {} : { TRUST_PROXY: text }).trustProxy).toEqual(meaning);
  });

  it('names the setting that is wrong', () => {
    expect(() => read({ TRUST_PROXY: 'everybody' })).toThrow(/TRUST_PROXY/);
    expect(() => read({ ADDRESS_RATE_LIMIT: '0' })).toThrow(/ADDRESS_RATE_LIMIT/);
  });
});
