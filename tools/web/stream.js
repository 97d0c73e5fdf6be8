// The event stream: read with fetch(), so that the token travels in a header and nowhere else.

const mostBuffered = 4 * 1024 * 1024;
const patienceMs = 15000;  // the server says something every second

/// Cuts text into events as it arrives; feed() gives those that are complete, as { name, data }.
export class EventCutter {
    #rest = '';
    feed(text) {
        this.#rest += text;
        const events = this.#rest.split('\n\n');
        this.#rest = events.pop();
        if (this.#rest.length > mostBuffered) throw new Error('An event is too long.');
        return events.map((event) => {
            const found = { name: 'message', data: '' };
            for (const line of event.split('\n')) {
                if (line.startsWith('event: ')) found.name = line.slice(7);
                if (line.startsWith('data: ')) found.data += line.slice(6);
            }
            return found;
        }).filter((event) => event.data !== '');
    }
}

export const headersFor = (token) => (token === null ? {} : { Authorization: `Bearer ${token}` });

export const requestOptions = {
    credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer',
};

/// What the server said of a refusal, in a sentence.
export async function refusalOf(response) {
    try {
        return (await response.json()).error.message;
    } catch {
        return `The server answered ${response.status}.`;
    }
}

/// One connection, until it ends. Returns { status, message }: 200 when the stream ended, 0 when the server was not
/// reached or fell silent. Never throws.
export async function follow(token, signal, onEvent) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), patienceMs);
    signal.addEventListener('abort', () => silence.abort(), { once: true });
    try {
        const response = await fetch('/api/cache/events/',
            { ...requestOptions, headers: headersFor(token), signal: silence.signal });
        if (!response.ok) return { status: response.status, message: await refusalOf(response) };
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const cutter = new EventCutter();
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return { status: 200, message: '' };
            clearTimeout(timer);
            timer = setTimeout(() => silence.abort(), patienceMs);
            for (const event of cutter.feed(value)) {
                const data = JSON.parse(event.data);
                try {
                    onEvent(event.name, data);
                } catch (error) {
                    reportError(error);  // the page's own, and not the stream's
                }
            }
        }
    } catch {
        return { status: 0, message: 'The server cannot be reached.' };
    } finally {
        clearTimeout(timer);
        silence.abort();
    }
}
