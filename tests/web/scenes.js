// The scenes: what a user meets, each with all that is asked of the page in it.
import assert from 'node:assert/strict';
import { Service, eventually } from './service.js';
import { WatchedPage } from './watched_page.js';

const refusals = ['the server responded with a status of 401', 'the server responded with a status of 403'];

/// Runs `scene` before a service of its own, which ends whatever happens.
async function before(build, words, scene) {
    const service = new Service(build);
    try {
        await service.start(...words(service));
        await scene(service);
    } finally {
        await service.stop();
    }
}

const open = () => ['--workers', '2'];
const closed = (service) => ['--workers', '2', '--auth-key-file', service.keyFile];

async function shows(watched, selector, text) {
    await watched.page.locator(selector).getByText(text, { exact: true }).first().waitFor();
}

const textOf = (watched, selector) => watched.page.locator(selector).innerText();

/// All of it in both themes and two widths.
async function everySide(browser, url, name, picture, look) {
    for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]]) {
        const watched = await WatchedPage.open(browser, url, { scheme, width });
        await watched.live();
        await look(watched);
        await watched.fitsItsWindow();
        await watched.hasContrast();
        await watched.isNamed();
        await watched.picture(picture(`${name}-${scheme}-${width}`));
        await watched.close();
    }
}

async function emptyThenBusy({ browser, build, picture }) {
    await before(build, () => [...open(), '--size', '512MiB'], async (service) => {
        await everySide(browser, service.url, 'empty', picture, async (watched) => {
            assert.equal(watched.response.status(), 200);
            await shows(watched, '#verdicts', 'Nothing is asked for, and nothing is wrong.');
            await shows(watched, '#hottest-table', 'Nothing is asked for.');
        });
        await service.fill('--entries', '100000', '--value-bytes', '700', '--seconds', '60');
        await everySide(browser, service.url, 'busy', picture, async (watched) => {
            const entries = await eventually('many entries', async () => {
                const tile = watched.page.locator('#tiles div', { hasText: 'Entries' });
                const text = await tile.locator('dd').first().innerText();
                return Number(text.replaceAll(',', '')) > 90000;
            });
            assert.ok(entries);
            await shows(watched, '#hottest-table', 'page:0');
            await watched.page.locator('#rate-chart canvas').waitFor();
            await watched.page.locator('#latency-chart canvas').waitFor();
            assert.match(await textOf(watched, '#latency-summary'), /^Lookups \(a sample\): [\d,]+; half below/);
        });
    });
}

async function tooSmall({ browser, build, picture }) {
    await before(build, () => [...open(), '--size', '32MiB', '--expected-entries', '30000'], async (service) => {
        const ask = (id) => fetch(`${service.url}/api/assignments/${id}/analytics/`);
        for (const id of [1, 1, 1, 2, 2, 4]) assert.equal((await ask(id)).status, 200);
        await service.fill('--entries', '30000', '--value-bytes', '2000', '--spread', '4000', '--seconds', '40');
        const watched = await WatchedPage.open(browser, service.url, { width: 1100 });
        await watched.live();
        await watched.page.locator('#verdicts .bad').getByText(/^Too small: evicted at age .* under a TTL of .*, missed by/)
            .waitFor();
        assert.match(await textOf(watched, '#memory-summary'), /were evicted so far, half of them younger than/);
        await watched.page.locator('#latency-choice').getByText('Age at eviction').click();
        await watched.page.locator('#latency-summary').getByText(/^Age at eviction: [\d,]+; half below/).waitFor();
        await watched.page.waitForTimeout(12000 * Number(process.env.LONG ?? 0));
        await watched.hasContrast();
        await watched.page.screenshot({ path: picture('too-small') });
        await watched.page.getByLabel('Theme').selectOption('dark');
        await watched.page.locator('#worst-title').scrollIntoViewIfNeeded();
        await watched.hasContrast();
        await watched.page.screenshot({ path: picture('too-small-dark') });
        await watched.close();
    });
}

async function hostileKeys({ browser, build, picture }) {
    await before(build, open, async (service) => {
        await service.fill('--entries', '16', '--hostile', '--spread', '10', '--seconds', '40');
        await everySide(browser, service.url, 'hostile', picture, async (watched) => {
            await shows(watched, '#hottest-table', '<img src=x onerror=alert(1)>');
            await shows(watched, '#hottest-table', '\\u{202e}gnp.exe\\u{2066} turned');
            await shows(watched, '#hottest-table', '\\xff\\xfe\\x80 no UTF-8');
            const strangers = await watched.page.evaluate(() => ({
                elements: document.querySelectorAll('main img, main script, main svg, [onerror], [onload]').length,
                hidden: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/u
                    .test(document.body.textContent),
                polluted: {}.polluted,
            }));
            assert.deepEqual(strangers, { elements: 0, hidden: false, polluted: undefined });
        });
    });
}

async function signIn(watched, token) {
    await watched.page.getByLabel('Token of a tutor').fill(token);
    await watched.page.getByRole('button', { name: 'Watch' }).click();
}

async function tokens({ browser, build, picture }) {
    await before(build, closed, async (service) => {
        const watched = await WatchedPage.open(browser, service.url, { scheme: 'dark' });
        assert.equal(watched.response.status(), 200);
        await watched.page.getByRole('heading', { name: 'A token, please' }).waitFor();
        assert.equal(await watched.page.locator('#board').isVisible(), false);
        await watched.hasContrast();
        await watched.isNamed();
        assert.deepEqual(watched.complaints, [], 'nothing is asked for without a token');

        await signIn(watched, 'no.such.token');
        await watched.page.getByRole('alert').getByText('This token is wrong, or has expired.').waitFor();
        await watched.picture(picture('wrong-token'));
        await signIn(watched, service.token(1, 'student'));
        await watched.page.getByRole('alert').getByText('Students may not do this.').waitFor();

        await signIn(watched, service.token(1, 'admin'));
        await watched.live();
        const kept = await watched.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage },
            document.cookie, document.getElementById('token').value]));
        assert.ok(!kept.includes('eyJ'), 'the token is kept somewhere');
        await watched.page.locator('#processes-table').getByText('worker').first().waitFor();
        await watched.page.locator('#invalidate-which').fill('1, 2');
        await watched.page.getByRole('button', { name: 'Pause' }).click();
        await watched.page.getByRole('button', { name: 'Forget the token' }).click();
        await watched.page.getByLabel('Token of a tutor').waitFor();
        assert.equal(await watched.page.locator('#board').isVisible(), false);
        assert.deepEqual(await watched.page.evaluate(() => [document.querySelectorAll('#board tbody tr').length,
            document.getElementById('tiles').textContent, document.getElementById('invalidate-which').value]),
        [0, '', ''], 'something is left of what he saw and did');

        await signIn(watched, service.token(7, 'teacher'));
        await watched.live();
        assert.equal(await watched.page.locator('#processes-table tbody td').count(), 1, 'no process is shown to him');
        await watched.page.getByRole('button', { name: 'Forget the token' }).click();

        await signIn(watched, service.token(1, 'admin', '3s'));
        await watched.live();
        await watched.page.locator('#invalidate-what').selectOption('all');
        await watched.page.locator('#invalidate-form button').click();
        await watched.page.locator('#confirm[open]').waitFor();
        await watched.page.getByRole('alert').getByText('This token is wrong, or has expired.').waitFor();
        assert.equal(await watched.page.locator('#confirm[open]').count(), 0, 'a question that nobody may answer');
        assert.equal(await watched.page.locator('#token:focus').count(), 1);
        await watched.picture(picture('expired-token'));
        for (const request of watched.requests) assert.ok(!request.includes('eyJ'), 'the token is in an address');
        await watched.close(...refusals);
    });
}

async function author({ browser, build, picture }) {
    await before(build, closed, async (service) => {
        const token = service.token(7, 'teacher');
        const ask = (id) => fetch(`${service.url}/api/assignments/${id}/analytics/`,
            { headers: { Authorization: `Bearer ${token}` } });
        for (const id of [1, 1, 1, 2]) assert.equal((await ask(id)).status, 200);
        const watched = await WatchedPage.open(browser, service.url);
        await signIn(watched, token);
        await watched.live();
        await shows(watched, '#assignments-table', '66.7 %');
        const ids = await watched.page.locator('#assignments-table tbody th').allInnerTexts();
        assert.deepEqual([...ids].sort(), ['1', '2', '3', '4'], 'his own assignments, and no other');
        for (const id of ['steer-title', 'hottest-title', 'processes-title'])
            assert.equal(await watched.page.locator(`#${id}`).isVisible(), false, `${id} is for an admin`);
        await watched.picture(picture('author'));
        await watched.close();
    });
}

async function keyboardOnly({ browser, build, picture }) {
    await before(build, closed, async (service) => {
        const watched = await WatchedPage.open(browser, service.url);
        const { keyboard } = watched.page;
        await watched.page.locator('#token:focus').waitFor();
        await keyboard.type(service.token(1, 'admin'));
        await keyboard.press('Enter');
        await watched.live();

        await watched.tabTo('#warm-which');
        await keyboard.type('1, 2 77');
        await keyboard.press('Enter');
        await watched.page.locator('#warm-result').getByText(/^2 of 3 warmed in .*, 1 failed\.$/).waitFor();

        await watched.page.locator('body').press('Home');
        await watched.tabTo('#invalidate-what');
        await keyboard.press('End');
        await watched.tabTo('#invalidate-form button');
        await keyboard.press('Enter');
        await watched.page.locator('#confirm-no:focus').waitFor();
        await watched.picture(picture('confirm'));
        await keyboard.press('Escape');
        await watched.page.locator('#invalidate-result').getByText('Nothing was changed.').waitFor();
        await keyboard.press('Enter');
        await watched.page.locator('#confirm-no:focus').waitFor();
        await keyboard.press('Tab');
        await keyboard.press('Enter');
        await watched.page.locator('#invalidate-result').getByText(/^Done: notice \d+\./).waitFor();
        await shows(watched, '#notices-table', 'everything');

        await watched.tabTo('#pause');
        await keyboard.press('Space');
        assert.equal(await watched.page.getByRole('button', { name: 'Pause', pressed: true }).count(), 1);
        await watched.tabTo('#theme');
        await keyboard.press('End');
        await watched.page.locator('html[data-theme="dark"]').waitFor();
        await watched.hasContrast();
        await watched.close();
    });
}

async function serverGoes({ browser, build }) {
    await before(build, open, async (service) => {
        const watched = await WatchedPage.open(browser, service.url);
        await watched.live();
        await service.stop();
        await watched.page.getByText('The server cannot be reached. Trying again…').waitFor();
        await watched.close('net::ERR');
    });
}

async function steering({ browser, build, picture }) {
    await before(build, open, async (service) => {
        const watched = await WatchedPage.open(browser, service.url);
        const bodies = [];
        watched.page.on('request', (request) => {
            if (request.method() === 'POST') bodies.push(JSON.parse(request.postData()));
        });
        await watched.live();
        const invalidate = async (what, which) => {
            await watched.page.locator('#invalidate-what').selectOption(what);
            await watched.page.locator('#invalidate-which').fill(which);
            await watched.page.locator('#invalidate-form button').click();
            await watched.page.locator('#invalidate-result').getByText(/^(?!Working)./).waitFor();
            return textOf(watched, '#invalidate-result');
        };
        assert.match(await invalidate('author', '7, 8'), /^One at a time/);
        assert.match(await invalidate('ids', '3, abc'), /^`abc` is no id/);
        await watched.picture(picture('no-id'));
        assert.deepEqual(bodies, [], 'something was sent that was not meant');
        const many = (length) => Array.from({ length }, (_, at) => 10000001 + at);
        assert.match(await invalidate('ids', many(5000).join(' ')), /^Done: notice \d/);
        assert.deepEqual(bodies[0], { ids: many(5000) });
        assert.equal(await invalidate('ids', many(20000).join(' ')), "The request's body is above 64 KiB.");
        await watched.close('status of 413');
    });
}

async function pausing({ browser, build, picture }) {
    await before(build, () => [...open(), '--size', '32MiB'], async (service) => {
        await service.fill('--entries', '1000', '--value-bytes', '500', '--seconds', '60');
        const watched = await WatchedPage.open(browser, service.url);
        const { page } = watched;
        const state = (text) => page.locator('#state-text').getByText(text, { exact: true }).waitFor();
        const press = () => page.getByRole('button', { name: 'Pause' }).click();
        await watched.live();

        await press();
        await state('Paused');
        await watched.hasContrast();
        const still = [await textOf(watched, '#tiles'), await textOf(watched, '#latency-summary')];
        await page.waitForTimeout(2500);
        await page.locator('#memory-title ~ details summary').click();
        await page.locator('#latency-choice').getByText('Computation').click();
        await page.locator('#latency-choice').getByText('Lookup').click();
        assert.deepEqual([await textOf(watched, '#tiles'), await textOf(watched, '#latency-summary')], still);
        await watched.picture(picture('paused'));

        await service.end();
        await state('Paused. The server cannot be reached. Trying again…');
        await press();
        assert.equal(await textOf(watched, '#state-text'), 'The server cannot be reached. Trying again…');
        await press();
        await service.startAgain(...open());
        await state('Paused');
        await press();
        await watched.live();
        assert.equal(await page.locator('#replaced').isVisible(), false);

        service.stopFilling();
        service.larder('rm', '--force');
        await fetch(`${service.url}/api/assignments/1/analytics/`);
        await page.getByText(/^Another cache has taken the place/).waitFor();
        await watched.hasContrast();
        await watched.picture(picture('replaced'));
        service.loseDatabase();
        await page.locator('#verdicts .bad').getByText(/^The database cannot be read/).waitFor();
        await watched.picture(picture('no-database'));
        await watched.close('net::ERR');
    });
}

async function locked({ browser, build }) {
    await before(build, open, async (service) => {
        const watched = await WatchedPage.open(browser, service.url);
        await watched.live();
        await service.end();
        await service.startAgain(...closed(service));
        await watched.page.getByLabel('Token of a tutor').waitFor();
        assert.equal(await textOf(watched, '#token-error'), '', 'no token was given that could be wrong');
        await signIn(watched, service.token(1, 'admin'));
        await watched.live();
        await watched.page.getByRole('button', { name: 'Forget the token' }).waitFor();
        await watched.close('net::ERR', ...refusals);
    });
}

export const scenes = {
    'an empty cache, then a busy one with 100,000 entries': emptyThenBusy,
    'a cache that is too small': tooSmall,
    'hostile keys': hostileKeys,
    'wrong, expired and good tokens': tokens,
    'an author sees his own': author,
    'the keyboard is enough': keyboardOnly,
    'what is steered is what was written': steering,
    'a pause stands still, whatever goes on': pausing,
    'a key file is given to a service that had none': locked,
    'the server goes': serverGoes,
};
