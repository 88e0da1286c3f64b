import { selectorsOf } from './promql';

describe('what an expression reads', () => {
  it('is its metrics, with the labels that pick and group them', () => {
    expect(
      selectorsOf('sum by (service, operation) (rate(calls_total{code=~"5..",path!="/a{b}"}[5m])) > 0.05'),
    ).toEqual([{ metric: 'calls_total', labels: ['code', 'path', 'service', 'operation'] }]);
  });

  it('is both sides of a comparison, recorded names and bare metrics included', () => {
    expect(selectorsOf('keyturn:late:rate1h > 14.4 * 0.001 and keyturn:late:rate5m > 1e6 or absent(up)')).toEqual(
      ['keyturn:late:rate1h', 'keyturn:late:rate5m', 'up'].map((metric) => ({ metric, labels: [] })),
    );
  });

  it('is no function, no string, no duration and no variable inside a string', () => {
    expect(
      selectorsOf('histogram_quantile(0.95, sum by (le) (rate(a_bucket{namespace="$namespace"}[5m] offset 1h)))'),
    ).toEqual([{ metric: 'a_bucket', labels: ['namespace', 'le'] }]);
  });
});
