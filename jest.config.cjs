const preset = require('./jest.preset.cjs');

const project = (name, root) => ({ ...preset, displayName: name, roots: [`<rootDir>/${root}`] });

module.exports = {
  // Real servers on a busy machine of two cores; a test that hangs is still told apart from one that waits.
  testTimeout: 30_000,
  projects: [
    { ...project('contracts', 'libs/contracts'), globalSetup: undefined, globalTeardown: undefined },
    project('list-query', 'libs/list-query'),
    project('platform', 'libs/platform'),
    project('webhook-store', 'libs/webhook-store'),
    project('testing', 'libs/testing'),
    project('api-gateway', 'apps/api-gateway'),
    project('data-service', 'apps/data-service'),
    project('webhook-service', 'apps/webhook-service'),
    project('dispatcher', 'apps/dispatcher'),
    project('docker', 'docker'),
    project('k8s', 'k8s'),
    project('tools', 'tools'),
  ],
};
