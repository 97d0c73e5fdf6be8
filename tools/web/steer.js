// What an admin can do here: notices and warming. Requests carry the token in a header; no cookie, no form that a page
// of another origin could send.
import { count, duration, ids, oneId } from './format.js';
import { headersFor, refusalOf, requestOptions } from './stream.js';

const element = (id) => document.getElementById(id);

function named(text) {
    if (text === '') throw new Error('Please fill it in.');
    return text;
}

/// Of each choice: the label of its field, and the request that is made of what stands there. That throws what to say
/// where it will not do.
const fields = {
    ids: ['Ids, such as 12, 15', (text) => ({ ids: ids(text.trim()) })],
    author: ['Number of the author', (text) => ({ author: oneId(text.trim()) })],
    course: ['Name of the course', (text) => ({ course: named(text) })],
    tag: ['Tag', (text) => ({ tag: named(text) })],
    namespace: ['Namespace: what stands before the first : of a key', (text) => ({ namespace: named(text) })],
    teacher: ['Number of the teacher', (text) => ({ teacher: oneId(text.trim()) })],
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

/// `name`: of the form. `send`: what is done with what was chosen; gives a sentence. Returns what empties the form.
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
        let chosen;
        try {
            chosen = fields[what.value][1](which.value);
        } catch (error) {
            say(result, error.message, true);
            return which.focus();
        }
        const asked = token();  // whoever comes after him is told nothing of it
        const answer = (text, failed) => { if (token() === asked) say(result, text, failed); };
        if (what.value === 'all' && !await confirmed()) return answer('Nothing was changed.', false);
        button.disabled = true;
        say(result, 'Working…', false);
        try {
            answer(await send(chosen, asked), false);
        } catch (error) {
            answer(error instanceof TypeError ? 'The server cannot be reached.' : error.message, true);
        }
        button.disabled = false;
        if (document.activeElement === document.body) button.focus();
    });
    return () => {
        element(`${name}-form`).reset();
        show();
    };
}

/// `token`: asked for at each use. Returns what leaves nothing of what was done here.
export function wireSteering(token) {
    const forms = [
        wire('invalidate', token, async (chosen, now) => {
            const { notice } = await post('/api/cache/invalidate/', chosen, now);
            return `Done: notice ${count(notice)}. Nobody on this host is served what was there before.`;
        }),
        wire('warm', token, async (chosen, now) => {
            const { teacher } = chosen;
            return warmed(teacher === undefined ? await post('/api/cache/warm/', chosen, now)
                : await post(`/api/teachers/${teacher}/warm/`, {}, now));
        }),
    ];
    return () => {
        element('confirm').close();
        for (const empty of forms) empty();
    };
}
