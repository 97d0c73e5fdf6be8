// A page whose every request and complaint is written down, and what is asked of any page.
import assert from 'node:assert/strict';

export class WatchedPage {
    complaints = [];
    requests = [];
    constructor(context, page, url) {
        Object.assign(this, { context, page, url });
        page.on('console', (message) => {
            if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
        });
        page.on('pageerror', (error) => this.complaints.push(String(error)));
        page.on('dialog', (dialog) => { this.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
        context.on('request', (request) => this.requests.push(request.url()));
    }

    static async open(browser, url, { width = 1280, height = 900, scheme = 'light', motion = 'reduce' } = {}) {
        const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme,
            reducedMotion: motion });
        const watched = new WatchedPage(context, await context.newPage(), url);
        watched.response = await watched.page.goto(`${url}/`);
        return watched;
    }

    /// The stream runs, and something is shown of it.
    async live() {
        await this.page.getByText('Live', { exact: true }).waitFor();
        await this.page.locator('#board').waitFor();
    }

    /// Allowed: complaints that the scene is about.
    async close(...allowed) {
        const url = this.url;
        for (const request of this.requests) assert.ok(request.startsWith(`${url}/`), `a request went to ${request}`);
        const left = this.complaints.filter((text) => !allowed.some((part) => text.includes(part)));
        assert.deepEqual(left, [], 'the page complains');
        assert.deepEqual(await this.context.cookies(), [], 'there is a cookie');
        await this.context.close();
    }

    /// The whole page, whatever its height.
    async picture(path) {
        await this.page.screenshot({ path, fullPage: true });
    }

    async fitsItsWindow() {
        const beyond = await this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(beyond <= 0, `the page is ${beyond} px wider than its window`);
    }

    /// Texts whose contrast with their ground is below 4.5 (3 for large ones), by WCAG 2's formula.
    async hasContrast() {
        const weak = await this.page.evaluate(() => {
            const parts = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
            const luminance = (colour) => {
                const [r, g, b] = parts(colour).slice(0, 3).map((v) => v / 255)
                    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (element) => {
                for (let at = element; at !== null; at = at.parentElement) {
                    const colour = getComputedStyle(at).backgroundColor;
                    if ((parts(colour)[3] ?? 1) === 1) return colour;
                }
                return 'rgb(255, 255, 255)';
            };
            const found = [];
            for (const element of document.body.querySelectorAll('*')) {
                const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
                if (!hasText || !element.checkVisibility()) continue;
                if (element.closest('.visually-hidden, .skip, :disabled')) continue;
                const style = getComputedStyle(element);
                const [low, high] = [luminance(style.color), luminance(ground(element))].sort((a, b) => a - b);
                const ratio = (high + 0.05) / (low + 0.05);
                const isLarge = parseFloat(style.fontSize) >= 24;
                if (ratio < (isLarge ? 3 : 4.5))
                    found.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
            }
            return found;
        });
        assert.deepEqual(weak, [], 'texts that are hard to read');
    }

    /// What a screen reader goes by.
    async isNamed() {
        const wrong = await this.page.evaluate(() => {
            const found = [];
            const say = (element, what) => found.push(`${element.outerHTML.slice(0, 80)}: ${what}`);
            for (const part of ['header', 'main', 'footer', 'h1'])
                if (document.querySelectorAll(`body ${part}`).length !== 1) found.push(`not one ${part}`);
            if (document.documentElement.lang === '' || document.title === '') found.push('no language or title');
            for (const field of document.querySelectorAll('input, select'))
                if (field.labels.length === 0) say(field, 'no label');
            for (const button of document.querySelectorAll('button'))
                if (button.textContent.trim() === '') say(button, 'no name');
            for (const section of document.querySelectorAll('section'))
                if (document.getElementById(section.getAttribute('aria-labelledby')) === null) say(section, 'no name');
            for (const head of document.querySelectorAll('thead th'))
                if (head.scope !== 'col' || head.textContent.trim() === '') say(head, 'no scope, or empty');
            for (const id of [...document.querySelectorAll('[id]')].map((element) => element.id))
                if (document.querySelectorAll(`[id="${CSS.escape(id)}"]`).length !== 1) found.push(`two of id ${id}`);
            for (const chart of document.querySelectorAll('.chart'))
                if (chart.childElementCount > 0 && !chart.getAttribute('aria-label')) say(chart, 'no words for it');
            return found;
        });
        assert.deepEqual(wrong, [], 'what a screen reader would miss');
    }

    /// Presses Tab until `selector` has the focus; the focus is seen at each step.
    async tabTo(selector) {
        for (let steps = 0; steps < 60; ++steps) {
            await this.page.keyboard.press('Tab');
            const at = await this.page.evaluate((wanted) => {
                const element = document.activeElement;
                return { found: element.matches(wanted), seen: getComputedStyle(element).outlineStyle !== 'none',
                    what: element.outerHTML.slice(0, 60) };
            }, selector);
            if (!at.what.startsWith('<body')) assert.ok(at.seen, `focus is not seen at ${at.what}`);
            if (at.found) return;
        }
        assert.fail(`Tab does not lead to ${selector}`);
    }
}
