// What is shown of a snapshot.
import { Chart, hasCharts } from './charts.js';
import { bytes, count, duration, foreign, percent, rate, shortened } from './format.js';
import { fillTable, fillTiles, fillVerdicts } from './tables.js';

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
const keyColumns = ['Key', 'Hits/s', 'Misses/s', 'Hit rate, 24 h', 'Size', 'Age', 'TTL', 'State'];

function keyCell(row, name = 'key') {
    const text = foreign(row, name);
    return { text: text === '' ? '(not in the cache)' : shortened(text, 80), className: 'key text', title: text };
}

function hitRate(hits, misses) {
    return hits + misses === 0 ? 'none asked' : percent(100 * hits / (hits + misses));
}

function keyRow(key) {
    const stored = key.state !== null;
    return [keyCell(key), rate(key.hits_per_second), rate(key.misses_per_second), hitRate(key.hits, key.misses),
        stored ? bytes(key.size_bytes) : '', stored ? duration(key.age_ms / 1000) : '',
        stored ? duration(key.lifetime_ms / 1000) : '', { text: key.state ?? 'absent', className: 'text' }];
}

export class Board {
    #history = [];
    #labels = new Map();
    #charts = null;
    #latest = null;
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
            details.addEventListener('toggle', () => this.show());
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
        this.#latest = snapshot;
        if (snapshot.absent === undefined) {
            this.#history.push({ at: snapshot.at, rates: snapshot.rates, memory: snapshot.memory });
            if (this.#history.length > kept) this.#history.shift();
        }
    }

    recolour() {
        for (const chart of Object.values(this.#charts ?? {})) chart.draw();
    }

    forget() {
        this.#latest = null;
        this.#history = [];
        element('board').hidden = true;
    }

    show() {
        const now = this.#latest;
        if (now === null) return;
        element('board').hidden = false;
        element('absent').hidden = now.absent === undefined;
        if (now.absent !== undefined) {
            element('absent').textContent = `There is nothing to show: ${foreign(now, 'absent')}`;
            element('board').hidden = true;
            return;
        }
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

    /// Only what changed, and not too often.
    #announce(verdicts) {
        const text = verdicts.filter((verdict) => verdict.bad).map((verdict) => verdict.text.split(':')[0]).join('; ');
        if (text === this.#announced || Date.now() - this.#announcedAt < 1000 * quietSeconds) return;
        if (this.#announced !== '' || text !== '')
            element('announcer').textContent = text === '' ? 'All is well again.' : `Look: ${text}`;
        this.#announced = text;
        this.#announcedAt = Date.now();
    }

    #showTiles({ rates, memory, processes_attached: attached, cache, counters, computing }) {
        const misses = Object.keys(reasons).reduce((sum, name) => sum + (counters[name] ?? 0), 0);
        fillTiles(element('tiles'), {
            'Hit rate': [rates.lookups === 0 ? '–' : percent(rates.hit_percentage), 'of the last second'],
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
        const end = this.#history.at(-1).at;
        const ago = this.#history.map((one) => (one.at - end) / 1000);
        const column = (pick) => this.#history.map(pick);
        const latest = this.#history.at(-1);
        this.#charts?.rate.set([ago, column((one) => (one.rates.lookups === 0 ? null : one.rates.hit_percentage)),
            column((one) => one.rates.lookups)],
        `Hit rate over the last ${duration(-ago[0])}: now ${percent(latest.rates.hit_percentage)} of ` +
            `${rate(latest.rates.lookups)} lookups a second`);
        this.#charts?.memory.set([ago, column((one) => one.memory.arena_used_bytes),
            column((one) => one.rates.evictions)],
        `Memory used over the last ${duration(-ago[0])}: now ${bytes(latest.memory.arena_used_bytes)}, ` +
            `${rate(latest.rates.evictions)} evictions a second`);
        const age = this.#latest.distributions.eviction_age_ms;
        element('memory-summary').textContent = age.count === 0 ? 'Nothing was evicted so far.'
            : `${count(age.count)} were evicted so far, half of them younger than ${duration(age.p50 / 1000)}.`;
        const rows = this.#history.filter((_, at) => (this.#history.length - 1 - at) % tableStep === 0).reverse();
        const seconds = (one) => count((end - one.at) / 1000);
        if (element('rate-table').closest('details').open)
            fillTable(element('rate-table'), rows.map((one) => [seconds(one),
                one.rates.lookups === 0 ? '–' : percent(one.rates.hit_percentage), rate(one.rates.lookups),
                rate(one.rates.misses)]), '');
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
        if (this.#latest === null || this.#latest.absent !== undefined) return;
        const chosen = document.querySelector('input[name="latency"]:checked').value;
        const [title, name, unit] = distributions[chosen];
        const { buckets, count: total, p50, p99 } = this.#latest.distributions[name];
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
        fillTable(element('assignments-table'), assignments.map((one) => [String(one.id), hitRate(one.hits, one.misses),
            count(one.hits), count(one.misses)]), 'No assignment was asked for.');
        fillTable(element('jobs-table'), (jobs ?? []).map((job) => [String(job.job_id),
            { text: job.state, className: 'text' }, { progress: job.total === 0 ? 1 : job.done / job.total,
                text: `${count(job.done)} of ${count(job.total)}` },
            count(job.warmed), count(job.failed), duration(job.duration_seconds)]),
        jobs === null ? 'The database cannot be read just now.' : 'No job was begun.');
        fillTable(element('notices-table'), notices.map((notice) => {
            const text = foreign(notice, 'text');
            const what = `${notice.kind}${text === '' ? '' : ` ${shortened(text, 64)}${notice.cut ? '…' : ''}`}`;
            return [String(notice.number), duration(notice.age_ms / 1000),
                { text: what, className: 'key text', title: text }];
        }), 'Nothing was invalidated.');
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
