import { keyturnHome, processIdentity, serviceProgram, type Ready, services } from '@keyturn/testing';
import { createRequire } from 'node:module';
import { environmentOfHome } from '../home/environment';
import { changeRunFile, type RunFile } from '../home/run-file';

/**
 * `npm run serve -- <app>`: one built service in this very process, as the container runs it. What its environment does
 * not say comes from the system that runs from KEYTURN_HOME, and that system's run file names the instance.
 */
function main(): void {
  const name = services.find((service) => service === process.argv[2]);
  if (!name) {
    console.error(`Keyturn: npm run serve -- <app>, where <app> is one of ${services.join(', ')}.`);
    process.exit(1);
  }
  const home = keyturnHome();
  Object.assign(process.env, environmentOfHome());
  const program = serviceProgram(name);
  announceTo((ready) => {
    changeRunFile(home, (run) => {
      const instance = freeInstance(run, name);
      run.services[instance] = { pid: ready.pid, managementUrl: ready.managementUrl };
      process.on('exit', () => leave(home, instance));
    });
  });
  process.argv = [process.execPath, program];
  createRequire(program)(program);
}

/** A service tells its parent when it is ready. Here there is none to tell, so we listen ourselves. */
function announceTo(listener: (ready: Ready) => void): void {
  process.send = (message: unknown) => {
    listener(message as Ready);
    return true;
  };
}

function leave(home: string, instance: string): void {
  changeRunFile(home, ({ services: running }) => {
    if (running[instance]?.pid === process.pid) delete running[instance];
  });
}

/** `api-gateway#2` and so on; a name whose process is gone is free. */
function freeInstance(run: RunFile, name: string): string {
  for (let number = 2; ; number += 1) {
    const instance = `${name}#${number}`;
    const holder = run.services[instance];
    if (!holder || !processIdentity(holder.pid)) return instance;
  }
}

main();
