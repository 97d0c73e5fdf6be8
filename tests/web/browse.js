// node browse.js BUILD NODE_MODULES BROWSER: each scene of the dashboard, in a real browser, before a real service.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { scenes } from './scenes.js';

const [build, modules, browserPath] = process.argv.slice(2);
const only = process.env.SCENE;
const pictures = resolve(build, 'tests/web');
mkdirSync(pictures, { recursive: true });

const { chromium } = createRequire(`${resolve(modules)}/`)('playwright-core');
const browser = await chromium.launch({ executablePath: browserPath, timeout: 60000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'] });

let failed = 0;
for (const [name, scene] of Object.entries(scenes)) {
    if (only !== undefined && !name.includes(only)) continue;
    const begin = Date.now();
    try {
        await scene({ browser, build: resolve(build), picture: (file) => join(pictures, `${file}.png`) });
        console.log(`ok      ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
    } catch (error) {
        ++failed;
        console.log(`FAILED  ${name}: ${error.stack}`);
    }
}
await browser.close();
console.log(failed === 0 ? `pictures: ${pictures}` : `${failed} failed; again: SCENE=name ctest -L web -V`);
process.exit(failed === 0 ? 0 : 1);
