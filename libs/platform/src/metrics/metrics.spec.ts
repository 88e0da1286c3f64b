import { Metrics } from '.';

describe('metrics', () => {
  const gaugesOf = async (metrics: Metrics) =>
    Object.fromEntries(
      [...(await metrics.registry.metrics()).matchAll(/^((?:test|metrics)_\w+\{.*\}) (\S+)$/gm)].map(
        ([, name, value]) => [
          String(name).replace(',service="a-service"', '').replace('service="a-service",', ''),
          value,
        ],
      ),
    );

  it('tell everything else while one of them asks somebody who does not answer, fails, or is wrong', async () => {
    const metrics = new Metrics('a-service', 50);
    let well = true;
    let late: (() => void) | undefined;
    metrics.gauge('test_well', 'Always known.', [], (gauge) => gauge.set(1));
    metrics.gauge('test_silent', 'Of somebody who may be silent.', [], (gauge) => {
      gauge.set(2);
      return well ? Promise.resolve() : new Promise((resolve) => (late = resolve));
    });
    metrics.gauge('test_failing', 'Of somebody who may be away.', ['state'], (gauge) => {
      gauge.set({ state: 'busy' }, 3);
      return well ? Promise.resolve() : Promise.reject(new Error('away'));
    });
    metrics.gauge('test_wrong', 'With a mistake.', [], (gauge) => {
      if (!well) throw new Error('a mistake');
      gauge.set(4);
    });
    const known = {
      'test_well{service="a-service"}': '1',
      'test_silent{service="a-service"}': '2',
      'test_failing{state="busy"}': '3',
      'test_wrong{service="a-service"}': '4',
    };
    expect(await gaugesOf(metrics)).toEqual(known);

    well = false;
    await gaugesOf(metrics);
    expect(await gaugesOf(metrics)).toEqual({
      'test_well{service="a-service"}': '1',
      'test_silent{service="a-service"}': 'Nan',
      'test_wrong{service="a-service"}': 'Nan',
      'metrics_unknown_total{metric="test_silent"}': expect.stringMatching(/^[12]$/),
      'metrics_unknown_total{metric="test_failing"}': expect.stringMatching(/^[12]$/),
      'metrics_unknown_total{metric="test_wrong"}': expect.stringMatching(/^[12]$/),
    });

    well = true;
    late?.();
    expect(await gaugesOf(metrics)).toMatchObject(known);
  });
});
