// The charts, by uPlot, where this build has it. Each one is a picture for which a table stands beside it.
import { bytes, duration, rate, tick } from './format.js';

const uPlot = globalThis.uPlot;
export const hasCharts = () => typeof uPlot === 'function';

const height = 200, shortestSeconds = 30;

function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { text: of('quiet'), grid: of('grid'), first: of('accent'), second: of('warm'), bar: of('bar') };
}

const axis = (c, more) => ({ stroke: c.text, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, width: 1 },
    font: '12px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif', ...more });

/// A line over the last minutes and another one, each with an axis of its own.
function overTime(c, first, second) {
    return {
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: false, range: (_, low) => [Math.min(low ?? 0, -shortestSeconds), 0] },
            a: { range: first.range }, b: { range: second.range } },
        axes: [
            axis(c, { values: (_, all) => all.map((v) => (v === 0 ? 'now' : duration(-v))) }),
            axis(c, { scale: 'a', size: 64, values: (_, all) => all.map(first.tick ?? first.text) }),
            axis(c, { scale: 'b', size: 64, side: 1, grid: { show: false }, values: (_, all) => all.map(second.tick ?? second.text) }),
        ],
        series: [
            { label: 'ago', value: (_, v) => (v == null ? '' : duration(-v)) },
            { label: first.label, scale: 'a', stroke: c.first, width: 2, points: { show: false },
                value: (_, v) => (v == null ? '' : first.text(v)) },
            { label: second.label, scale: 'b', stroke: c.second, width: 1.5, dash: [5, 4], points: { show: false },
                value: (_, v) => (v == null ? '' : second.text(v)) },
        ],
    };
}

const fromZero = (_, low, high) => [0, high == null || high <= 0 ? 1 : high * 1.1];

const kinds = {
    rate: (c) => overTime(c, { label: 'Hit rate', range: () => [0, 100], text: (v) => `${Math.round(v)} %` },
        { label: 'Lookups/s', range: fromZero, text: rate, tick }),
    memory: (c) => overTime(c, { label: 'Memory used', range: fromZero, text: bytes },
        { label: 'Evictions/s', range: fromZero, text: rate, tick }),
    latency: (c, bounds) => ({
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: false, range: (_, low, high) => [(low ?? 0) - 0.6, (high ?? 1) + 0.6] },
            a: { range: fromZero } },
        axes: [
            axis(c, { values: (_, all) => all.map((v) => (bounds()[v] ? duration(bounds()[v]) : '')),
                incrs: [1, 2, 4, 8], space: 60 }),
            axis(c, { scale: 'a', size: 64, values: (_, all) => all.map((v) => `${Math.round(v)} %`) }),
        ],
        series: [
            { label: 'Below', value: (_, v) => (v == null || !bounds()[v] ? '' : duration(bounds()[v])) },
            { label: 'Share', scale: 'a', stroke: c.first, fill: c.bar, width: 1, points: { show: false },
                paths: uPlot.paths.bars({ size: [0.85, 60] }),
                value: (_, v) => (v == null ? '' : `${v.toFixed(1)} %`) },
        ],
    }),
};

/// A chart in `place`, whose data may be set again and again. REQUIRES: hasCharts().
export class Chart {
    #place; #kind; #plot = null; #data = null; #bounds = [];
    constructor(place, kind) {
        this.#place = place;
        this.#kind = kind;
        place.setAttribute('role', 'img');
        new ResizeObserver(() => this.#fit()).observe(place);
    }
    #fit() {
        const width = this.#place.clientWidth;
        if (width > 0) this.#plot?.setSize({ width, height });
    }
    /// `bounds`: of the bars of a distribution.
    set(data, label, bounds = []) {
        this.#data = data;
        this.#bounds = bounds;
        if (this.#place.getAttribute('aria-label') !== label) this.#place.setAttribute('aria-label', label);
        if (this.#plot === null) this.draw();
        else this.#plot.setData(data);
    }
    /// Anew, in the colours of now.
    draw() {
        if (this.#data === null) return;
        this.#plot?.destroy();
        const options = kinds[this.#kind](colours(), () => this.#bounds);
        this.#plot = new uPlot({ width: Math.max(this.#place.clientWidth, 200), height, ...options }, this.#data,
            this.#place);
    }
}
