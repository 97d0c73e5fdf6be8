// The page: a token where one is needed, the stream, and what is shown of it. The token is in the variable below and
// nowhere else.
import { Board } from './board.js';
import { wireSteering } from './steer.js';
import { follow } from './stream.js';

const element = (id) => document.getElementById(id);
const needsToken = document.documentElement.dataset.token === 'needed';
const firstPauseMs = 1000, longestPauseMs = 10000;

let token = null;
let watching = null;  // an AbortController, while a stream is followed
let isPaused = false;  // what is shown stands still; the connection goes on
let connection = { state: 'idle', text: 'Not connected' };

const board = new Board();
const forgetSteering = wireSteering(() => token);

function showState() {
    const isLost = connection.state === 'lost';
    const text = isPaused ? `Paused${isLost ? `. ${connection.text}` : ''}` : connection.text;
    element('state').dataset.state = isPaused && !isLost ? 'idle' : connection.state;
    if (element('state-text').textContent !== text) element('state-text').textContent = text;
}

function say(state, text) {
    connection = { state, text };
    showState();
}

function setPaused(paused) {
    isPaused = paused;
    element('pause').setAttribute('aria-pressed', String(paused));
    showState();
}

function onEvent(name, data) {
    if (name === 'hello') board.greet(data);
    if (name !== 'snapshot') return;
    board.take(data);
    say('live', 'Live');
    if (!isPaused && !document.hidden) board.show();
}

function askForToken(why) {
    token = null;
    watching?.abort();
    watching = null;
    board.forget();
    forgetSteering();
    setPaused(false);
    say('idle', why === '' ? 'A token is needed' : 'Not connected');
    for (const id of ['pause', 'sign-out']) element(id).hidden = true;
    element('token-error').textContent = why;
    element('sign-in').hidden = false;
    element('token').focus();
}

const pause = (ms, signal) => new Promise((over) => {
    const timer = setTimeout(over, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); over(); }, { once: true });
});

async function watch() {
    const stop = watching = new AbortController();
    element('sign-in').hidden = true;
    element('pause').hidden = false;
    element('sign-out').hidden = token === null;
    say('idle', 'Connecting…');
    for (let wait = firstPauseMs; !stop.signal.aborted;) {
        const { status, message } = await follow(token, stop.signal, (name, data) => {
            wait = firstPauseMs;
            onEvent(name, data);
        });
        if (stop.signal.aborted) return;
        if (status === 401) return askForToken(token === null ? '' : 'This token is wrong, or has expired.');
        if (status === 403) return askForToken(message);
        if (status === 200) say('idle', 'Connecting…');
        else say('lost', `${message} Trying again…`);
        await pause(wait, stop.signal);
        wait = Math.min(2 * wait, longestPauseMs);
    }
}

element('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    // What a header cannot carry is no token.
    const given = element('token').value.trim().replace(/^bearer\s+/i, '');
    element('token').value = '';
    if (!/^[\x21-\x7e]+$/.test(given)) return askForToken('A token has neither spaces nor other letters than ASCII.');
    token = given;
    element('token-error').textContent = '';
    watch();
    element('main').focus();
});

element('sign-out').addEventListener('click', () => askForToken(''));

element('pause').addEventListener('click', () => {
    setPaused(!isPaused);
    if (!isPaused) board.show();
});

document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !isPaused) board.show();
});

// The theme is a taste, not a secret: it may be kept.
const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
function setTheme(theme) {
    const dark = theme === 'dark' || (theme === 'auto' && systemIsDark.matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    board.recolour();
}
function keptTheme() {
    try {
        return localStorage.getItem('larder-theme') ?? 'auto';
    } catch {
        return 'auto';
    }
}
element('theme').value = ['light', 'dark'].includes(keptTheme()) ? keptTheme() : 'auto';
setTheme(element('theme').value);
systemIsDark.addEventListener('change', () => setTheme(element('theme').value));
element('theme').addEventListener('change', () => {
    setTheme(element('theme').value);
    try {
        localStorage.setItem('larder-theme', element('theme').value);
    } catch {
        // then it is for this time only
    }
});

element('version').textContent = `Larder ${document.documentElement.dataset.version}.`;
if (needsToken) askForToken('');
else watch();
