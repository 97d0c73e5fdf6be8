// What is shown of a snapshot.
import { Chart, hasCharts } from './charts.js';
import { bytes, count, duration, foreign, kindOf, percent, rate, shortened } from './format.js';
import { empty, fillTable, fillTiles, fillVerdicts } from './tables.js';

const element = (id) => document.getElementById(id);
const kept = 300;        // snapshots, one a second
const tableStep = 10;    // rows of a table over time are so many seconds apart
const quietSeconds = 10; // between two things that are read out

const reasons = {
    misses_cold: 'not stored before', misses_expired: 'past its TTL', misses_evicted: 'made room for others',
    misses_invalidated: 'overtaken by a notice', misses_rebuilt: 'its shard was rebuilt',
    misses_contended: 'lost a race with writers',
};
const distributions = {
    lookup: ['Lookups (a sample)', 'lookup_ns', 1e-9], compute: ['Computations', 'compute_us', 1e-6],
    eviction_age: ['Age at eviction', 'eviction_age_ms', 1e-3],
};
const notCounted = 'The key table had no room for it; --tracked-keys gives it more.';
const keyColumns = ['Key', 'Hits/s', 'Misses/s', 'Misses, 24 h', 'Hit rate, 24 h', 'Size', 'Age', 'TTL', 'State'];

function keyCell(row) {
    const text = foreign(row, 'key') || `(not in the cache, hash ${row.hash})`;
    return { text: shortened(text, 80), className: 'key text', title: text };
}

function hitRate(hits, misses) {
    return hits + misses === 0 ? 'none asked' : percent(100 * hits / (hits + misses));
}

const rateOfNow = (rates) => (rates.hit_percentage === null ? '–' : percent(rates.hit_percentage));

function keyRow(key) {
    const stored = key.state !== null;
    return [keyCell(key), rate(key.hits_per_second), rate(key.misses_per_second), count(key.misses),
        hitRate(key.hits, key.misses),
        stored ? bytes(key.size_bytes) : '', stored ? duration(key.age_ms / 1000) : '',
        stored ? duration(key.lifetime_ms / 1000) : '', { text: key.state ?? 'absent', className: 'text' }];
}

function assignmentRow({ id, hits, misses, counted }) {
    if (!counted) return [String(id), { text: 'not counted', title: notCounted }, '–', '–'];
    return [String(id), hitRate(hits, misses), count(hits), count(misses)];
}

function noticeText(notice) {
    const text = `${foreign(notice, 'text')}${notice.cut ? '…' : ''}`;
    return { text: `${notice.kind}${text === '' ? '' : ` ${shortened(text, 65)}`}`, className: 'key text', title: text };
}

/// What arrives is one thing, what is shown of it another: in a pause the latter stands still, whatever is opened.
export class Board {
    #arrived = { latest: null, history: [] };
    #shown = { latest: null, history: [] };
    #isAnother = false;  // than the cache that was shown at first
    #labels = new Map();
    #charts = null;
    #announced = '';
    #announcedAt = 0;

    constructor() {
        for (const id of ['hottest-table', 'worst-table']) {
            const row = element(id).createTHead().insertRow();
            for (const [at, name] of keyColumns.entries()) {
                const cell = document.createElement('th');
                cell.scope = 'col';
                cell.textContent = name;
                if (name === 'Key' || name === 'State') cell.className = 'text';
                row.append(cell);
            }
        }
        element('latency-choice').addEventListener('change', () => this.#showLatency());
        for (const details of document.querySelectorAll('details'))
            details.addEventListener('toggle', () => this.#draw());
        if (hasCharts()) {
            this.#charts = Object.fromEntries(['rate', 'latency', 'memory'].map((kind) =>
                [kind, new Chart(element(`${kind}-chart`), kind)]));
        } else {
            element('no-charts').hidden = false;
            for (const id of ['rate', 'latency', 'memory']) element(`${id}-table`).closest('details').open = true;
        }
    }

    /// What stays the same while a stream lasts.
    greet(hello) {
        this.#labels = new Map(hello.counters.map((counter) => [counter.name, counter]));
        element('cache-name').textContent = foreign(hello, 'cache');
        for (const section of document.querySelectorAll('.admin')) section.hidden = hello.role !== 'admin';
    }

    take(snapshot) {
        const { history } = this.#arrived;
        this.#arrived.latest = snapshot;
        if (snapshot.absent !== undefined) return;
        const before = history.at(-1)?.incarnation;
        const { incarnation } = snapshot.cache;
        if (before !== undefined && before !== incarnation) {
            this.#isAnother = true;
            history.length = 0;
        }
        history.push({ at: snapshot.at, incarnation, rates: snapshot.rates, memory: snapshot.memory });
        if (history.length > kept) history.shift();
    }

    recolour() {
        for (const chart of Object.values(this.#charts ?? {})) chart.draw();
    }

    /// Nothing is left, not even where it is not seen: another user may come.
    forget() {
        this.#arrived = { latest: null, history: [] };
        this.#shown = { latest: null, history: [] };
        this.#isAnother = false;
        this.#announced = '';
        for (const id of ['board', 'absent', 'replaced']) element(id).hidden = true;
        for (const id of ['verdicts', 'tiles', 'announcer']) element(id).replaceChildren();
        for (const table of document.querySelectorAll('#board table')) empty(table);
    }

    /// What has arrived so far.
    show() {
        this.#shown = { latest: this.#arrived.latest, history: [...this.#arrived.history] };
        this.#draw();
    }

    #draw() {
        const now = this.#shown.latest;
        if (now === null) return;
        const isAbsent = now.absent !== undefined;
        element('board').hidden = isAbsent;
        element('absent').hidden = !isAbsent;
        element('replaced').hidden = isAbsent || !this.#isAnother;
        if (isAbsent) {
            element('absent').textContent = `There is nothing to show: ${foreign(now, 'absent')}`;
            return;
        }
        if (this.#isAnother)
            element('replaced').textContent = 'Another cache has taken the place of the one that was shown here. ' +
                'What is shown is of the new one alone.';
        fillVerdicts(element('verdicts'), now.verdicts);
        this.#announce(now.verdicts);
        this.#showTiles(now);
        this.#showOverTime();
        this.#showMisses(now);
        this.#showLatency();
        this.#showKeys(now);
        this.#showLists(now);
        this.#showCounters(now);
    }

    /// Only what changed, and not too often. That a rate is another one than a second ago is no change.
    #announce(verdicts) {
        const text = verdicts.filter((verdict) => verdict.bad).map((verdict) => verdict.text.split(':')[0]).join('; ');
        const kind = kindOf(text);
        if (kind === this.#announced || Date.now() - this.#announcedAt < 1000 * quietSeconds) return;
        element('announcer').textContent = text === '' ? 'All is well again.' : `Look: ${text}`;
        this.#announced = kind;
        this.#announcedAt = Date.now();
    }

    #showTiles({ rates, memory, processes_attached: attached, cache, counters, computing }) {
        const misses = Object.keys(reasons).reduce((sum, name) => sum + (counters[name] ?? 0), 0);
        fillTiles(element('tiles'), {
            'Hit rate': [rateOfNow(rates), 'of the last second'],
            'Lookups/s': [rate(rates.lookups), `${rate(rates.misses)} misses/s`],
            'Hit rate in all': [hitRate(counters.hits, misses).replace('none asked', '–'),
                `${count(counters.hits + misses)} lookups`],
            'Computations/s': [rate(rates.computations), `${count(computing)} running`],
            Entries: [count(memory.entries), `${bytes(memory.payload_bytes)} of values and keys`],
            'Memory used': [percent(100 * memory.arena_used_bytes / Math.max(1, memory.arena_bytes)),
                `${bytes(memory.arena_used_bytes)} of ${bytes(memory.arena_bytes)}`],
            Processes: [count(attached), `the cache is ${duration(cache.made_ms / 1000)} old`],
        });
    }

    #showOverTime() {
        const end = this.#shown.history.at(-1).at;
        const ago = this.#shown.history.map((one) => (one.at - end) / 1000);
        const column = (pick) => this.#shown.history.map(pick);
        const latest = this.#shown.history.at(-1);
        this.#charts?.rate.set([ago, column((one) => one.rates.hit_percentage),
            column((one) => one.rates.lookups)],
        `Hit rate over the last ${duration(-ago[0])}: now ${rateOfNow(latest.rates)} of ` +
            `${rate(latest.rates.lookups)} lookups a second`);
        this.#charts?.memory.set([ago, column((one) => one.memory.arena_used_bytes),
            column((one) => one.rates.evictions)],
        `Memory used over the last ${duration(-ago[0])}: now ${bytes(latest.memory.arena_used_bytes)}, ` +
            `${rate(latest.rates.evictions)} evictions a second`);
        const age = this.#shown.latest.distributions.eviction_age_ms;
        element('memory-summary').textContent = age.count === 0 ? 'Nothing was evicted so far.'
            : `${count(age.count)} were evicted so far, half of them younger than ${duration(age.p50 / 1000)}.`;
        const rows = this.#shown.history.filter((_, at) => (this.#shown.history.length - 1 - at) % tableStep === 0).reverse();
        const seconds = (one) => count((end - one.at) / 1000);
        if (element('rate-table').closest('details').open)
            fillTable(element('rate-table'), rows.map((one) => [seconds(one), rateOfNow(one.rates),
                rate(one.rates.lookups), rate(one.rates.misses)]), '');
        if (element('memory-table').closest('details').open)
            fillTable(element('memory-table'), rows.map((one) => [seconds(one), bytes(one.memory.arena_used_bytes),
                count(one.memory.entries), rate(one.rates.evictions)]), '');
    }

    #showMisses({ counters, rates }) {
        const all = Object.keys(reasons).reduce((sum, name) => sum + (counters[name] ?? 0), 0);
        fillTable(element('misses-table'), Object.entries(reasons).map(([name, words]) => [
            { text: words, className: 'text', title: this.#labels.get(name)?.remedy || undefined },
            rate(rates[name] ?? 0), count(counters[name] ?? 0),
            { share: all === 0 ? 0 : (counters[name] ?? 0) / all, className: 'share' }]), '');
    }

    #showLatency() {
        if (this.#shown.latest === null || this.#shown.latest.absent !== undefined) return;
        const chosen = document.querySelector('input[name="latency"]:checked').value;
        const [title, name, unit] = distributions[chosen];
        const { buckets, count: total, p50, p99 } = this.#shown.latest.distributions[name];
        const summary = total === 0 ? `${title}: none so far.`
            : `${title}: ${count(total)}; half below ${duration(p50 * unit)}, 99 % below ${duration(p99 * unit)}.`;
        element('latency-summary').textContent = summary;
        element('latency-chart').hidden = total === 0;
        const bounds = buckets.map(([below]) => below * unit);
        const shares = buckets.map(([, n]) => (total === 0 ? 0 : 100 * n / total));
        this.#charts?.latency.set([bounds.map((_, at) => at), shares], summary, bounds);
        if (element('latency-table').closest('details').open)
            fillTable(element('latency-table'), buckets.map(([below, n], at) => [duration(below * unit), count(n),
                percent(shares[at])]), 'None so far.');
    }

    #showKeys({ keys }) {
        if (keys === undefined) return;
        fillTable(element('hottest-table'), keys.hottest.map(keyRow), 'Nothing is asked for.');
        fillTable(element('worst-table'), keys.worst.map(keyRow), 'No key is missed.');
    }

    #showLists({ assignments, jobs, notices, processes }) {
        fillTable(element('assignments-table'), assignments.map(assignmentRow), 'No assignment was asked for.');
        fillTable(element('jobs-table'), (jobs ?? []).map((job) => [String(job.job_id),
            { text: job.state, className: 'text' }, { progress: job.total === 0 ? 1 : job.done / job.total,
                text: `${count(job.done)} of ${count(job.total)}` },
            count(job.warmed), count(job.failed), duration(job.duration_seconds)]),
        jobs === null ? 'The database cannot be read just now.' : 'No job was begun.');
        fillTable(element('notices-table'), notices.map((notice) => [String(notice.number),
            duration(notice.age_ms / 1000), noticeText(notice)]), 'Nothing was invalidated.');
        fillTable(element('processes-table'), (processes ?? []).map((one) => [String(one.pid),
            { text: shortened(foreign(one, 'role'), 32), className: 'text' },
            { text: shortened(foreign(one, 'name'), 32), className: 'text' }, duration(one.attached_ms / 1000),
            { text: one.does, className: 'text' }]), 'Nobody is attached.');
    }

    #showCounters({ counters, rates }) {
        if (!element('counters').open) return;
        fillTable(element('counters-table'), [...this.#labels.values()].map(({ name, meaning, remedy }) => [
            { text: name, className: 'key text' }, count(counters[name] ?? 0), rate(rates[name] ?? 0),
            { text: meaning, className: 'prose' }, { text: remedy, className: 'prose' }]), '');
    }
}
