import { readSettings, setting, SettingsError, settingsSummary } from '.';

const spec = {
  port: setting.port('PORT', 3000),
  timeout: setting.duration('TIMEOUT', '5s'),
  schedule: setting.durations('SCHEDULE', '30s,1m,8h'),
  open: setting.flag('OPEN', false),
  level: setting.oneOf('LEVEL', ['info', 'error'], 'info'),
  ranges: setting.cidrs('RANGES'),
  key: setting.secret('KEY'),
  proxy: setting.optionalUrl('PROXY', ['http', 'https']),
} as const;
const key = 'k'.repeat(32);

describe('settings', () => {
  it('have their defaults, and take the environment over them', () => {
    expect(readSettings(spec, { KEY: key, TIMEOUT: '250ms', OPEN: 'on' })).toEqual({
      port: 3000,
      timeout: 250,
      schedule: [30_000, 60_000, 28_800_000],
      open: true,
      level: 'info',
      ranges: [],
      key,
      proxy: undefined,
    });
  });

  it('name every wrong variable at once', () => {
    const wrong = {
      PORT: '70000',
      TIMEOUT: '5',
      OPEN: 'maybe',
      LEVEL: 'loud',
      RANGES: 'here',
      KEY: 'short',
      PROXY: 'x',
    };
    const read = () => readSettings(spec, wrong);
    expect(read).toThrow(SettingsError);
    for (const name of Object.keys(wrong)) expect(read).toThrow(name);
  });

  it('take URLs of some schemes only, and say none of what they hold', () => {
    const read = (url: string) => readSettings({ proxy: spec.proxy }, { PROXY: url });
    const https = 'https://user:pass@proxy.example:3129';
    expect(read(https)).toEqual({ proxy: https });
    // What lacks a scheme has its host name taken for one.
    for (const [url, scheme] of [
      ['socks5://user:pass@proxy.example', 'socks5'],
      ['proxy.example:3128', 'proxy.example'],
    ] as const)
      expect(() => read(url)).toThrow(new SettingsError([`PROXY must be a URL of http or https, not of "${scheme}"`]));
  });

  it('take an empty variable for one that is not set', () => {
    expect(readSettings({ port: setting.port('PORT', 1) }, { PORT: '' })).toEqual({ port: 1 });
    expect(() => readSettings({ key: setting.secret('KEY') }, { KEY: ' ' })).toThrow('KEY is required');
  });

  it('show secrets only as set or not set', () => {
    const settings = readSettings(spec, { KEY: key, PROXY: 'http://user:pass@127.0.0.1:1' });
    const shown = JSON.stringify(settingsSummary(spec, settings));
    expect(shown).not.toContain(key);
    expect(shown).not.toContain('pass');
    expect(shown).toContain('"KEY":"set"');
  });
});
