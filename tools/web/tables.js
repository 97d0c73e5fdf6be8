// Tables that change every second: cells are kept and given new text, so that nothing jumps and nothing is parsed as
// markup. A cell is a text, or { text, title, className, share, progress, prose }.

function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

function fillCell(cell, value) {
    const given = typeof value === 'object' ? value : { text: value };
    const className = given.className ?? '';
    if (cell.className !== className) cell.className = className;
    if (given.title === undefined) cell.removeAttribute('title');
    else if (cell.title !== given.title) cell.title = given.title;
    if (given.share !== undefined) return fillBar(cell, given.share);
    if (given.progress !== undefined) return fillProgress(cell, given);
    setText(cell, given.text);
}

function onlyChild(cell, name) {
    let child = cell.firstElementChild;
    if (child === null || child.localName !== name || cell.childNodes.length !== 1) {
        child = document.createElement(name);
        cell.replaceChildren(child);
    }
    return child;
}

function fillBar(cell, share) {
    const bar = onlyChild(cell, 'span');
    bar.className = 'bar';
    bar.style.width = `${(100 * share).toFixed(1)}%`;
    bar.setAttribute('role', 'img');
    bar.setAttribute('aria-label', `${(100 * share).toFixed(0)} %`);
}

function fillProgress(cell, { progress, text }) {
    if (cell.firstElementChild?.localName !== 'progress')
        cell.replaceChildren(document.createElement('progress'), document.createElement('span'));
    const [bar, words] = cell.children;
    bar.max = 1;
    bar.value = progress;
    bar.setAttribute('aria-label', text);
    setText(words, text);
}

/// The first cell of a row heads it. Without rows, `nothing` stands there.
export function fillTable(table, rows, nothing) {
    const body = table.tBodies[0] ?? table.createTBody();
    const columns = table.tHead.rows[0].cells.length;
    const wanted = rows.length === 0 ? 1 : rows.length;
    while (body.rows.length > wanted) body.deleteRow(-1);
    while (body.rows.length < wanted) body.insertRow();
    if (rows.length === 0) {
        const row = body.rows[0];
        const cell = row.cells[0]?.className === 'none' ? row.cells[0] : document.createElement('td');
        cell.className = 'none';
        cell.colSpan = columns;
        setText(cell, nothing);
        if (row.cells.length !== 1 || row.cells[0] !== cell) row.replaceChildren(cell);
        return;
    }
    rows.forEach((cells, at) => {
        const row = body.rows[at];
        if (row.cells.length !== cells.length || row.cells[0].className === 'none') {
            row.replaceChildren(...cells.map((_, column) => document.createElement(column === 0 ? 'th' : 'td')));
            row.cells[0].scope = 'row';
        }
        cells.forEach((value, column) => fillCell(row.cells[column], value));
    });
}

/// Leaves nothing but the headings.
export function empty(table) {
    for (const body of table.tBodies) body.replaceChildren();
}

/// { term: [text, more] } as terms and descriptions.
export function fillTiles(list, tiles) {
    const entries = Object.entries(tiles);
    while (list.children.length > entries.length) list.lastElementChild.remove();
    entries.forEach(([term, [text, more]], at) => {
        let tile = list.children[at];
        if (tile === undefined) {
            tile = document.createElement('div');
            tile.append(document.createElement('dt'), document.createElement('dd'), document.createElement('dd'));
            tile.children[2].className = 'quiet';
            list.append(tile);
        }
        setText(tile.children[0], term);
        setText(tile.children[1], text);
        setText(tile.children[2], more);
    });
}

/// What stands between `backquotes` is something to type.
function fillWithCode(place, text) {
    if (place.dataset.text === text) return;
    place.dataset.text = text;
    place.replaceChildren(...text.split('`').map((part, at) => {
        if (at % 2 === 0) return document.createTextNode(part);
        const code = document.createElement('code');
        code.textContent = part;
        return code;
    }));
}

export function fillVerdicts(list, verdicts) {
    while (list.children.length > verdicts.length) list.lastElementChild.remove();
    verdicts.forEach((verdict, at) => {
        let item = list.children[at];
        if (item === undefined) {
            item = document.createElement('li');
            item.append(document.createElement('b'), document.createElement('span'));
            list.append(item);
        }
        item.className = verdict.bad ? 'bad' : 'fine';
        setText(item.children[0], verdict.bad ? 'Look:' : 'Note:');
        fillWithCode(item.children[1], verdict.text);
    });
}
