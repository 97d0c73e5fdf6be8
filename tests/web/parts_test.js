import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, count, duration, foreign, ids, kindOf, oneId, percent, rate, shortened, tick,
    visible } from '../../tools/web/format.js';
import { EventCutter } from '../../tools/web/stream.js';

test('numbers are written as people read them', () => {
    assert.equal(count(1234567), '1,234,567');
    assert.deepEqual([0, 0.01, 0.5, 9.94, 9.96, 12345.6].map(rate), ['0', '< 0.1', '0.5', '9.9', '10', '12,346']);
    assert.equal(percent(99.96), '100.0 %');
    assert.deepEqual([0, 1023, 1024, 10 * 1024, 268435456, 3e12].map(bytes),
        ['0 B', '1023 B', '1.0 KiB', '10 KiB', '256 MiB', '2.7 TiB']);
});

test('durations have two units at most', () => {
    const pairs = [[0, '0 s'], [40e-9, '40 ns'], [1.5e-6, '1.5 us'], [0.25, '250 ms'], [0.9999, '1 s'], [41, '41 s'],
        [59.6, '1 min'], [190, '3 min 10 s'], [7200, '2 h'], [7500, '2 h 5 min'], [270000, '3 d 3 h'], [-5, '-5 s']];
    for (const [seconds, text] of pairs) assert.equal(duration(seconds), text);
});

test('what is not seen, or turns text around, is written out', () => {
    assert.equal(visible('plain text <b>&amp;'), 'plain text <b>&amp;');
    assert.equal(visible('a\u0000b\u001b[31m\r\n\t\u007f\u0085'), 'a\\u{0}b\\u{1b}[31m\\u{d}\\u{a}\\u{9}\\u{7f}\\u{85}');
    assert.equal(visible('\u202egnp\u2066\u200f\u061c'), '\\u{202e}gnp\\u{2066}\\u{200f}\\u{61c}');
    assert.equal(visible('\u200b\u00ad\ufeff\u2028\u00a0\u3000'), '\\u{200b}\\u{ad}\\u{feff}\\u{2028}\\u{a0}\\u{3000}');
    assert.equal(visible('e\u0301 日本 🍞'), 'e\u0301 日本 🍞');
    assert.equal(visible('z\u0301\u0302\u0303'), 'z\\u{301}\\u{302}\\u{303}');
    assert.equal(visible('\ud800'), '\\u{d800}');
    assert.equal(visible('a\u2800b\u3164c\u115f'), 'a\\u{2800}b\\u{3164}c\\u{115f}');
});

test('what is written out cannot be feigned', () => {
    assert.equal(visible('\\u{0}'), '\\\\u{0}');
    assert.equal(foreign({ key_base64: btoa('\\xff\xff') }, 'key'), '\\\\xff\\xff');
});

test('a trouble whose rate changes is the same one', () => {
    assert.equal(kindOf('untracked_lookups 1364/s'), kindOf('untracked_lookups 9.5/s'));
    assert.equal(kindOf('evicted at age 1m30s'), kindOf('evicted at age 45.0s'));
    assert.notEqual(kindOf('no_space 3.0/s'), kindOf('busy 3.0/s'));
});

test('the numbers of an axis are what they stand for', () => {
    assert.deepEqual([0, 0.25, 0.5, 0.75, 1, 2.5, 10, 12345].map(tick),
        ['0', '0.25', '0.5', '0.75', '1', '2.5', '10', '12,345']);
});

test('bytes that are no text are shown by their numbers', () => {
    assert.equal(foreign({ key_base64: Buffer.from([0x41, 0xff, 0x00, 0x3c]).toString('base64') }, 'key'), 'A\\xff\\x00<');
    assert.equal(foreign({ key: 'a\u202e' }, 'key'), 'a\\u{202e}');
    assert.equal(foreign({}, 'key'), '');
});

test('a long text is cut between characters', () => {
    assert.equal(shortened('🍞🍞🍞', 3), '🍞🍞🍞');
    assert.equal(shortened('🍞🍞🍞🍞', 3), '🍞🍞…');
});

test('ids are positive whole numbers, or it is said which one is none', () => {
    assert.deepEqual(ids('12, 15 16;17'), [12, 15, 16, 17]);
    for (const text of ['', ' ']) assert.throws(() => ids(text), /Please write a number/);
    for (const [text, wrong] of [['0', '0'], ['-1', '-1'], ['1.5', '1.5'], ['12 x', 'x'], ['1e3', '1e3'], ['1-5', '1-5'],
        ['9999999999999999', '9999999999999999']])
        assert.throws(() => ids(text), { message: `\`${wrong}\` is no id: ids are whole numbers above 0.` });
    assert.equal(oneId(' 7 '), 7);
    assert.throws(() => oneId('7, 8'), /One at a time/);
});

test('events are cut out of a stream wherever it is torn', () => {
    const text = 'event: hello\ndata: {"a":1}\n\nevent: snapshot\ndata: {"b":2}\n\n: a comment\n\n';
    for (let at = 0; at <= text.length; ++at) {
        const cutter = new EventCutter();
        assert.deepEqual([...cutter.feed(text.slice(0, at)), ...cutter.feed(text.slice(at))],
            [{ name: 'hello', data: '{"a":1}' }, { name: 'snapshot', data: '{"b":2}' }]);
    }
});

test('an event without an end is refused, not kept', () => {
    const cutter = new EventCutter();
    assert.throws(() => { for (let i = 0; i < 100; ++i) cutter.feed('x'.repeat(65536)); }, /too long/);
});
