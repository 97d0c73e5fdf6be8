// What an admin can do here: notices and warming. Requests carry the token in a header; no cookie, no form that a page
// of another origin could send.
import { count, duration, ids } from './format.js';
import { headersFor, refusalOf, requestOptions } from './stream.js';

const element = (id) => document.getElementById(id);

const fields = {
    ids: ['Ids, such as 12, 15', (text) => ({ ids: ids(text) })],
    author: ['Number of the author', (text) => ({ author: ids(text)?.[0] ?? null })],
    course: ['Name of the course', (text) => ({ course: text || null })],
    tag: ['Tag', (text) => ({ tag: text || null })],
    namespace: ['Namespace: what stands before the first : of a key', (text) => ({ namespace: text || null })],
    teacher: ['Number of the teacher', (text) => ({ teacher: ids(text)?.[0] ?? null })],
    all: ['', () => ({ all: true })],
};

function say(place, text, failed) {
    place.classList.toggle('failed', failed);
    place.textContent = text;
}

async function post(path, body, token) {
    const response = await fetch(path, { ...requestOptions, method: 'POST', body: JSON.stringify(body),
        headers: { ...headersFor(token), 'Content-Type': 'application/json' } });
    if (!response.ok) throw new Error(await refusalOf(response));
    return response.json();
}

function confirmed() {
    const dialog = element('confirm');
    return new Promise((answer) => {
        let agreed = false;
        element('confirm-no').onclick = () => dialog.close();
        element('confirm-yes').onclick = () => { agreed = true; dialog.close(); };
        dialog.onclose = () => answer(agreed);
        dialog.showModal();
    });
}

function warmed(result) {
    if (result.async_scheduled) return `Job ${result.job_id} was begun: ${count(result.total)} assignments.`;
    return `${count(result.warmed)} of ${count(result.total)} warmed in ${duration(result.duration_seconds)}` +
        (result.failed ? `, ${count(result.failed)} failed.` : '.');
}

/// `name`: of the form. `send`: what is done with what was chosen; gives a sentence.
function wire(name, token, send) {
    const what = element(`${name}-what`), which = element(`${name}-which`), result = element(`${name}-result`);
    const field = which.parentElement, button = element(`${name}-form`).querySelector('button');
    const show = () => {
        element(`${name}-label`).textContent = fields[what.value][0];
        field.hidden = what.value === 'all';
        say(result, '', false);
    };
    what.addEventListener('change', show);
    show();
    element(`${name}-form`).addEventListener('submit', async (event) => {
        event.preventDefault();
        const chosen = fields[what.value][1](which.value.trim());
        if (Object.values(chosen).includes(null)) {
            say(result, `${fields[what.value][0]}: please fill it in.`, true);
            return which.focus();
        }
        if (what.value === 'all' && !await confirmed()) return say(result, 'Nothing was changed.', false);
        button.disabled = true;
        say(result, 'Working…', false);
        try {
            say(result, await send(chosen, token()), false);
        } catch (error) {
            say(result, error instanceof TypeError ? 'The server cannot be reached.' : error.message, true);
        }
        button.disabled = false;
        if (document.activeElement === document.body) button.focus();
    });
}

/// `token`: asked for at each use.
export function wireSteering(token) {
    wire('invalidate', token, async (chosen, now) => {
        const { notice } = await post('/api/cache/invalidate/', chosen, now);
        return `Done: notice ${count(notice)}. Nobody on this host is served what was there before.`;
    });
    wire('warm', token, async (chosen, now) => {
        const { teacher } = chosen;
        return warmed(teacher === undefined ? await post('/api/cache/warm/', chosen, now)
            : await post(`/api/teachers/${teacher}/warm/`, {}, now));
    });
}
