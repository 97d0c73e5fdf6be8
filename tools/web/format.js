// What numbers and foreign bytes look like. Pure.

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const count = (n) => grouped.format(n);

export function rate(perSecond) {
    if (perSecond > 0 && perSecond < 0.05) return '< 0.1';
    return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : grouped.format(perSecond);
}

export const percent = (share) => `${share.toFixed(1)} %`;

export function bytes(n) {
    if (n < 1024) return `${Math.round(n)} B`;
    const units = ['KiB', 'MiB', 'GiB', 'TiB'];
    let at = 0;
    for (n /= 1024; n >= 1024 && at < units.length - 1; ++at) n /= 1024;
    return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/// Two units at most: `41 s`, `3 min 10 s`, `2 h 5 min`, `7 d 3 h`; below a second `250 ms`, `1.5 us`, `40 ns`.
export function duration(seconds) {
    if (seconds < 0) return `-${duration(-seconds)}`;
    if (seconds === 0) return '0 s';
    const short = (value, unit) => `${value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
    if (seconds < 0.9995e-6) return short(seconds * 1e9, 'ns');
    if (seconds < 0.9995e-3) return short(seconds * 1e6, 'us');
    if (seconds < 0.9995) return short(seconds * 1e3, 'ms');
    if (seconds < 59.5) return short(seconds, 's');
    const whole = Math.round(seconds);
    for (const [size, unit, part, name] of [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']])
        if (whole >= size) {
            const rest = Math.floor((whole % size) / part);
            return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${name}` : ''}`;
        }
    return `${whole} s`;
}

/// What a sentence tells of, whatever how much of it there is: of two that differ in numbers alone it is the same.
export const kindOf = (text) => text.replace(/\d\S*/g, '');

/// A number of an axis: as short as it can be without being another one.
export const tick = (n) => (Math.abs(n) < 10 ? String(Number(n.toFixed(3))) : grouped.format(n));

/// What is not seen, or turns what stands around it, is written as `\u{NNNN}`: controls, format marks (the ones of
/// direction among them), what is unassigned or private, fillers and joiners, and every space but the plain one. A
/// backslash is written twice, so that none of that can be feigned.
export function visible(text) {
    return text.replace(/\\|[\p{C}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}|\p{M}{3,}/gu, (found) => (found === '\\' ? '\\\\'
        : [...found].map((c) => `\\u{${c.codePointAt(0).toString(16)}}`).join('')));
}

/// Bytes that are no text: printable ASCII as it is (a backslash twice), the others as `\xNN`.
export function visibleBytes(base64) {
    const hex = (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
    return [...atob(base64)].map((c) => (c === '\\' ? '\\\\' : c >= ' ' && c <= '~' ? c : hex(c))).join('');
}

/// The text of `row[name]`, or of the bytes of `row[name + '_base64']`.
export function foreign(row, name) {
    if (typeof row[`${name}_base64`] === 'string') return visibleBytes(row[`${name}_base64`]);
    return visible(String(row[name] ?? ''));
}

export function shortened(text, most) {
    const characters = [...text];
    return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/// `12, 15 16` as numbers. Throws what to say where something else stands there, or nothing.
export function ids(text) {
    const words = text.split(/[\s,;]+/).filter((word) => word !== '');
    if (words.length === 0) throw new Error('Please write a number.');
    return words.map((word) => {
        if (!/^[0-9]{1,15}$/.test(word) || Number(word) === 0)
            throw new Error(`\`${shortened(visible(word), 40)}\` is no id: ids are whole numbers above 0.`);
        return Number(word);
    });
}

/// As ids(), of which there is one.
export function oneId(text) {
    const numbers = ids(text);
    if (numbers.length > 1) throw new Error('One at a time: please write a single number.');
    return numbers[0];
}
