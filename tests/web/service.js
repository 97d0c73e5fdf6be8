// A `larder serve` of a test's own: a small school, a cache in a directory that goes with it.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const patienceMs = 20000;

export const pause = (ms) => new Promise((over) => setTimeout(over, ms));

/// What `ask` gives, once it gives something; throws when that takes too long.
export async function eventually(what, ask) {
    for (const end = Date.now() + patienceMs; Date.now() < end; await pause(50)) {
        const answer = await ask();
        if (answer) return answer;
    }
    throw new Error(`It did not come: ${what}`);
}

export class Service {
    #build; #directory; #child = null; #fillers = [];
    /// `build`: the directory with the programs.
    constructor(build) {
        this.#build = build;
        this.#directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'larder-web-'));
        mkdirSync(join(this.#directory, 'cache'), { mode: 0o700 });
        const assignments = [1, 2, 3, 4, 5].map((id) => `${id},Essay ${id},${id === 5 ? 8 : 7},100,,30,ABC`);
        const submissions = assignments.flatMap((_, at) => [1, 2, 3].map((student) =>
            `${10 * (at + 1) + student},${at + 1},${student},graded,${60 + 10 * student},100,0,,`));
        this.#write('assignments.csv',
            ['assignment_id,title,author_id,max_score,due_at,assigned_count,course', ...assignments]);
        this.#write('submissions.csv',
            ['submission_id,assignment_id,student_id,status,score,max_score,is_late,submitted_at,graded_at',
                ...submissions]);
        this.#write('key', ['0123456789abcdef0123456789abcdef']);
        chmodSync(this.#path('key'), 0o600);
    }
    #path(name) { return join(this.#directory, name); }
    #write(name, lines) { writeFileSync(this.#path(name), `${lines.join('\n')}\n`); }
    #options() {
        return { env: { ...process.env, LARDER_DIR: this.#path('cache') }, stdio: ['ignore', 'pipe', 'inherit'] };
    }

    larder(...words) {
        return execFileSync(join(this.#build, 'larder'), words, this.#options()).toString();
    }

    /// `words`: more of its command line.
    async start(...words) {
        this.larder('import', '--db', this.#path('school.db'), '--assignments', this.#path('assignments.csv'),
            '--submissions', this.#path('submissions.csv'));
        return this.#serve('127.0.0.1:0', words);
    }

    /// At the same address, where pages are open.
    async startAgain(...words) { return this.#serve(new URL(this.url).host, words); }

    async #serve(address, words) {
        rmSync(this.#path('port'), { force: true });
        this.#child = spawn(join(this.#build, 'larder'), ['--log-level', 'error', 'serve', '--db',
            this.#path('school.db'), '--listen', address, '--port-file', this.#path('port'), ...words],
        this.#options());
        this.url = await eventually('a port', () => existsSync(this.#path('port')) &&
            `http://127.0.0.1:${readFileSync(this.#path('port'), 'utf8').trim()}`);
        await eventually('health', async () => {
            try {
                return (await fetch(`${this.url}/healthz`)).ok;
            } catch {
                return false;
            }
        });
        return this;
    }

    async end() {
        if (this.#child === null || this.#child.exitCode !== null) return;
        const ended = new Promise((over) => this.#child.once('exit', over));
        this.#child.kill('SIGTERM');
        await ended;
    }

    loseDatabase() {
        for (const end of ['', '-wal', '-shm']) rmSync(this.#path(`school.db${end}`), { force: true });
    }

    get keyFile() { return this.#path('key'); }
    token(user, role, lifetime = '1h') {
        return this.larder('token', '--auth-key-file', this.keyFile, '--user', String(user), '--role', role,
            '--expires', lifetime).trim();
    }

    /// Resolves when the cache is full; it is asked for what is in it from then on.
    async fill(...words) {
        const filler = spawn(join(this.#build, 'tests/larder_web'), words, this.#options());
        this.#fillers.push(filler);
        let said = '';
        await new Promise((over, failed) => {
            filler.stdout.on('data', (text) => { if ((said += text).includes('filled')) over(); });
            filler.on('exit', (code) => (code === 0 ? over() : failed(new Error(`larder_web: ${code} ${said}`))));
        });
    }
    stopFilling() {
        for (const filler of this.#fillers) filler.kill();
        this.#fillers = [];
    }

    async stop() {
        this.stopFilling();
        await this.end();
        rmSync(this.#directory, { recursive: true, force: true });
    }
}
