
/* The page over a running bank. Everything that comes from servers is put in as text, never as markup. */
const $ = (selector) => document.querySelector(selector);

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) if (value !== undefined) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/* Puts new children in the place of old ones only if something has changed: what is selected, scrolled or focused stays. */
function fill(element, children) {
  const draft = make('div', {}, ...children);
  if (draft.innerHTML === element.dataset.was) return;
  element.dataset.was = draft.innerHTML;
  const open = new Set([...element.querySelectorAll('details[open]')].map((one) => one.id));
  const tops = new Map([...element.querySelectorAll('[data-keep]')].map((one) => [one.dataset.keep, one.scrollTop]));
  const focused = element.contains(document.activeElement) ? document.activeElement.closest('[id]')?.id : null;
  element.replaceChildren(...draft.childNodes);
  for (const one of element.querySelectorAll('details')) one.open = open.has(one.id);
  for (const one of element.querySelectorAll('[data-keep]')) one.scrollTop = tops.get(one.dataset.keep) ?? 0;
  if (focused) (document.getElementById(focused)?.querySelector('summary') ?? document.getElementById(focused))?.focus();
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
const ballotOf = (ballot) => (ballot ? (typeof ballot === 'string' ? ballot : `${ballot.round}.${ballot.server}`) : 'none');
const short = (hash) => String(hash ?? '').slice(0, 8);
const nameOf = (entry) => `${entry.server}.${entry.epoch}.${entry.seq}`;
const micros = (us) => (us === undefined || us === null ? '–' : us < 1000 ? `${us} µs` : us < 1e6 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1e6).toFixed(1)} s`);

function whatOf(entry) {
  if (entry.open !== undefined) return [`opens ${entry.open.account ?? entry.open}`, ''];
  if (entry.rekey !== undefined) return [`another key for ${entry.rekey.account ?? entry.rekey}`, ''];
  if (entry.mint !== undefined) return [`issued at ${entry.mint}`, entry.amount];
  if (entry.burn !== undefined) return [`taken back at ${entry.burn}`, entry.amount];
  const from = entry.from ?? entry.server;
  if (entry.to !== undefined) return [`${from} → ${entry.to}`, entry.amount];
  const known = ['server', 'epoch', 'seq', 'time', 'reference', 'via', 'request', 'height', 'balance'];
  return [Object.entries(entry).filter(([key]) => !known.includes(key)).map(([key, value]) => `${key} ${JSON.stringify(value)}`).join(', '), ''];
}

/* ── Servers ── */

function roleOf(status) {
  if (status.ballot) return `proposer of block ${(status.height ?? -1) + 1}, ${status.run}`;
  if (status.accepted) return 'acceptor: has accepted a block';
  if (status.promised) return 'acceptor: has promised';
  return status.run === 'idle' ? 'no run' : status.run;
}

function card([id, seen]) {
  const { status, failure } = seen, measured = status?.measured;
  const silent = status?.peers.filter((peer) => !peer.connected).length;
  const state = failure ? 'gives no answer' : status.not_serving ? 'serves nothing' : status.hears_majority === false ? 'hears no majority' : 'serves';
  const kind = failure ? 'down' : status.not_serving || status.hears_majority === false ? 'trouble' : '';
  const facts = !status ? [] : [
    ['role', roleOf(status)],
    ['ballot', ballotOf(status.ballot)],
    ['promised', ballotOf(status.promised)],
    ['accepted', ballotOf(status.accepted)],
    ['height', `${status.height ?? 'none'} (${short(status.head)})`],
    ['log', `${plural(status.log_length, 'entry', 'entries')}, ${status.waiting} waiting`],
    ['hears', `${status.peers.length - silent} of ${plural(status.peers.length, 'peer', 'peers')}`],
    ['Redis', measured?.redis.round_trip ? `${micros(measured.redis.round_trip.p50_us)}, at worst ${micros(measured.redis.round_trip.p99_us)}` : micros(measured?.redis.last_us)],
  ];
  const log = [...seen.log].reverse().map((entry) => {
    const [what, amount] = whatOf(entry);
    return make('li', {}, make('span', { class: 'mono' }, nameOf(entry)), ` ${what} ${amount}`);
  });
  return make('article', { class: `card ${kind}`, 'aria-label': `server ${id}`, 'data-server': id },
    make('h3', {}, id, make('span', { class: kind ? 'bad' : 'good' }, state)),
    failure ? make('p', { class: 'why' }, failure) : null,
    !failure && status.not_serving ? make('p', { class: 'why' }, status.not_serving) : null,
    make('dl', {}, ...facts.flatMap(([term, fact]) => [make('dt', {}, term), make('dd', {}, fact)])),
    log.length ? make('ol', { 'data-keep': `log-${id}`, tabindex: 0, 'aria-label': `the newest entries of ${id}'s log` }, ...log) : null);
}

function hears(servers) {
  const ids = servers.map(([id]) => id);
  const cell = (seen, id) => {
    const peer = seen.status?.peers.find((one) => one.id === id);
    if (!peer || seen.failure) return make('td', { class: 'soft' }, seen.failure ? '?' : '·');
    return peer.connected ? make('td', { class: 'good' }, 'yes') : make('td', { class: 'bad' }, 'no');
  };
  return [make('thead', {}, make('tr', {}, make('td', {}, ''), ...ids.map((id) => make('th', { scope: 'col' }, id)))),
    make('tbody', {}, ...servers.map(([id, seen]) => make('tr', {}, make('th', { scope: 'row' }, `${id} hears`), ...ids.map((other) => cell(seen, other)))))];
}

/* ── Chain and money ── */

function block(one) {
  const entries = one.entries.map((entry) => { const [what, amount] = whatOf(entry); return make('li', {}, `${nameOf(entry)}: ${what} ${amount}`); });
  if (one.count > entries.length) entries.push(make('li', { class: 'soft' }, `and ${one.count - entries.length} more: search for ${one.height}`));
  return make('li', {}, make('details', { id: `block-${one.height}` },
    make('summary', {}, make('strong', {}, `block ${one.height}`), ` ${plural(one.count, 'entry', 'entries')}`),
    make('p', { class: 'soft' }, one.proposer ? `by ${one.proposer}` : 'the founding'),
    make('p', { class: 'mono' }, short(one.hash)), entries.length ? make('ul', { 'data-keep': `block-${one.height}` }, ...entries) : null));
}

function money(board) {
  const seen = new Map();
  for (const one of board.blocks) for (const entry of one.entries) seen.set(nameOf(entry), [entry, `in block ${one.height}`]);
  for (const server of Object.values(board.servers)) {
    for (const entry of server.log) if (!seen.has(nameOf(entry))) seen.set(nameOf(entry), [entry, `in the log of ${entry.server}`]);
  }
  for (const name of seen.keys()) if (!order.has(name)) order.set(name, order.size);
  const rows = [...seen.entries()].sort(([a], [b]) => order.get(b) - order.get(a)).slice(0, 25);
  return rows.map(([name, [entry, where]]) => {
    const [what, amount] = whatOf(entry);
    return make('tr', {}, make('td', { class: 'mono' }, name), make('td', {}, what), make('td', { class: 'number' }, String(amount)), make('td', { class: 'soft' }, where));
  });
}
/* In which order the entries were first seen. */
const order = new Map();

/* ── Over time ── */

const past = new Map();

function sample(servers) {
  for (const [id, { status, failure }] of servers) {
    const all = past.get(id) ?? past.set(id, []).get(id), measured = failure ? null : status?.measured;
    if (all.length && Date.now() - all[all.length - 1].at < 1000) continue;
    all.push({ at: Date.now(), rate: measured?.entries_per_second ?? 0, local: measured?.local?.p50_us ?? 0, paxos: measured?.paxos?.p50_us ?? 0 });
    if (all.length > 300) all.shift();
  }
}

function curve(values, most, kind) {
  const width = 300, height = 60, line = values.map((value, place) => `${place ? 'L' : 'M'}${(place * width / Math.max(1, values.length - 1)).toFixed(1)} ${(height - 3 - (height - 6) * value / Math.max(1, most)).toFixed(1)}`);
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', line.join(''));
  path.setAttribute('class', kind);
  return path;
}

function curves() {
  return [...past.entries()].map(([id, all]) => {
    const graph = (...lines) => {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      svg.setAttribute('class', 'curve');
      svg.setAttribute('viewBox', '0 0 300 60');
      svg.setAttribute('preserveAspectRatio', 'none');
      svg.setAttribute('aria-hidden', 'true');
      const most = Math.max(...lines.flat());
      lines.forEach((values, place) => svg.append(curve(values, most, place ? 'other' : '')));
      return svg;
    };
    const of = (key) => all.map((one) => one[key]), now = all[all.length - 1];
    return make('div', { class: 'card' }, make('h3', {}, id), graph(of('rate')), make('p', { class: 'legend' }, `${now.rate} entries a second, at most ${Math.max(...of('rate'))} in ${plural(Math.max(1, Math.round(all.length / 60)), 'minute', 'minutes')}`),
      graph(of('local'), of('paxos')), make('p', { class: 'legend' }, make('span', { class: 'one' }, `local: ${now.local ? micros(now.local) : 'none of late'}`), ' · ', make('span', { class: 'two' }, `by Paxos: ${now.paxos ? micros(now.paxos) : 'none of late'}`)));
  });
}

/* ── All of it ── */

let states = new Map();

function tellChanges(servers) {
  const now = new Map(servers.map(([id, seen]) => [id, seen.failure ? `${id} gives no answer` : `${id} answers`]));
  const changed = [...now].filter(([id, words]) => states.has(id) && states.get(id) !== words).map(([, words]) => words);
  if (changed.length) $('#news').textContent = changed.join(', ');
  states = now;
}

function options(select, names) {
  const was = select.value;
  fill(select, names.map((name) => make('option', { value: name }, name)));
  if (names.includes(was)) select.value = was;
}

function show(board) {
  const servers = Object.entries(board.servers);
  if (!servers.length) return;
  const known = servers.map(([, seen]) => seen.status).find((status) => status?.bank);
  $('#bank').textContent = known ? `bank ${known.bank.slice(0, 16)}, ${known.total ?? '?'} units in ${plural(known.accounts, 'account', 'accounts')}` : '';
  fill($('#servers'), servers.map(card));
  fill($('#hears'), hears(servers));
  $('#hears-part').hidden = servers.length < 2;
  const atEnd = $('#blocks').scrollLeft + $('#blocks').clientWidth > $('#blocks').scrollWidth - 20;
  fill($('#blocks'), board.blocks.map(block));
  $('#blocks-part').hidden = !board.blocks.length;
  if (atEnd) $('#blocks').scrollLeft = $('#blocks').scrollWidth;
  const rows = money(board);
  fill($('#money tbody'), rows);
  $('#money-part').hidden = !rows.length;
  sample(servers);
  fill($('#curves'), curves());
  $('#curves-part').hidden = false;
  tellChanges(servers);
  options($('#order [name=server]'), servers.map(([id]) => id));
  options($('#order [name=peer]'), servers.map(([id]) => id).filter((id) => id !== $('#order [name=server]').value));
}

let held = null, paused = false;
const story = new Story($('#story'));

$('#pause').addEventListener('click', () => {
  paused = !paused;
  $('#pause').setAttribute('aria-pressed', String(paused));
  $('#pause').textContent = paused ? 'Go on' : 'Pause';
  if (!paused && held) show(held);
  held = null;
});

/* The protocol is read from files, or told by the servers themselves: then only as long as somebody sees it. */
const isLive = $('meta[name=protocol]').content === 'live';
const wantsProtocol = () => isLive && $('#live').checked && document.visibilityState === 'visible';
let events = null, withProtocol = false;

function listen() {
  events?.close();
  withProtocol = wantsProtocol();
  events = new EventSource(withProtocol ? 'events?protocol=yes' : 'events');
  events.addEventListener('open', () => { $('#connection').textContent = 'live'; });
  events.addEventListener('error', () => { $('#connection').textContent = 'the page’s own process gives no answer; it is asked again'; });
  events.addEventListener('board', (event) => {
    const board = JSON.parse(event.data);
    if (paused) held = board; else show(board);
  });
  events.addEventListener('story', (event) => {
    $('#protocol-part').hidden = false;
    story.grow(JSON.parse(event.data));
  });
}

const listenAnew = () => { if (isLive && wantsProtocol() !== withProtocol) listen(); };
$('#live-part').hidden = !isLive;
$('#live').addEventListener('change', listenAnew);
document.addEventListener('visibilitychange', listenAnew);
listen();

/* ── Search ── */

function entryLine(name, entry, where) {
  const [what, amount] = whatOf(entry);
  return make('p', {}, make('span', { class: 'mono' }, name), ` ${what} ${amount}, ${where}`);
}

/* A page of a statement. `newer` says where the pages begin that were turned over, so that one can turn back. */
function statement(found, text, before, newer) {
  const rows = found.lines.map((line) => {
    const [what, amount] = whatOf(line);
    return make('tr', {}, make('td', { class: 'mono' }, nameOf(line)), make('td', {}, what), make('td', { class: 'number' }, String(amount)),
      make('td', { class: 'number' }, String(line.balance)), make('td', { class: 'soft' }, line.height === undefined ? 'in the log' : `block ${line.height}`));
  });
  const head = ['entry', 'what', 'units', 'balance after', 'where'].map((title, place) => make('th', { scope: 'col', class: place === 2 || place === 3 ? 'number' : undefined }, title));
  const turn = (way, words, ...to) => {
    const button = make('button', { type: 'button', 'data-turn': way }, words);
    button.addEventListener('click', () => look(text, ...to, way));
    return button;
  };
  return [make('h3', {}, `Statement of ${found.account}, page ${newer.length + 1}`), make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows))),
    rows.length ? null : make('p', { class: 'soft' }, 'no entries here'),
    make('div', { class: 'row', role: 'group', 'aria-label': 'Pages' },
      newer.length ? turn('newer', 'Newer', newer[newer.length - 1], newer.slice(0, -1)) : null,
      found.next ? turn('older', 'Older', found.next, [...newer, before]) : null)];
}

/* Counts the questions: only the last one is answered. */
let looks = 0;

async function look(text, before, newer = [], way) {
  const place = $('#found'), own = ++looks, query = new URLSearchParams(before ? { for: text, before } : { for: text });
  try {
    const reply = await fetch(`search?${query}`), found = await reply.json();
    if (own !== looks) return;
    let parts = [make('p', { class: 'bad' }, found.nothing ?? '')];
    if (found.account) parts = statement(found, text, before, newer);
    if (found.entry) parts = [entryLine(found.name, found.entry, found.height === undefined ? 'in its home’s log' : `in block ${found.height}`)];
    if (found.block) {
      parts = [make('h3', {}, `Block ${found.block.height}`), make('p', { class: 'mono' }, `hash ${found.block.hash}`), make('p', { class: 'mono' }, `after ${found.block.previous}`),
        make('p', {}, found.block.proposer ? `built by ${found.block.proposer}` : 'the founding', `, ${plural(found.count, 'entry', 'entries')}`), ...found.block.entries.map((entry) => entryLine(nameOf(entry), entry, 'in this block'))];
    }
    place.replaceChildren(...parts.filter((part) => part !== null));
    if (way) (place.querySelector(`[data-turn=${way}]`) ?? place.querySelector('[data-turn]'))?.focus();
  } catch (error) {
    if (own === looks) place.replaceChildren(make('p', { class: 'bad' }, 'the page’s own process gives no answer'));
  }
}

$('#search').addEventListener('submit', (event) => {
  event.preventDefault();
  if ($('#for').value.trim()) look($('#for').value);
});

/* ── Orders ── */

const token = $('meta[name=orders]').content;
$('#orders-part').hidden = !token;

async function give(server, command) {
  const done = $('#done');
  done.className = 'soft';
  done.textContent = `${server}> ${command}`;
  try {
    const reply = await fetch('order', { method: 'POST', headers: { 'X-Order-Token': token, 'Content-Type': 'application/json' }, body: JSON.stringify({ server, command }) });
    const text = await reply.text(), said = reply.ok ? JSON.parse(text) : { well: false, words: text.trim() };
    done.className = said.well ? 'good' : 'bad';
    done.textContent = `${server}> ${command}\n${said.words}`;
  } catch (error) {
    done.className = 'bad';
    done.textContent = 'the page’s own process gives no answer';
  }
}

$('#order').addEventListener('submit', (event) => event.preventDefault());
for (const button of document.querySelectorAll('[data-order]')) {
  button.addEventListener('click', () => {
    const field = (name) => $(`#order [name=${name}]`).value.trim();
    const orders = { pay: `transfer ${field('to')} ${field('amount')}`, settle: 'settle', cut: `link cut ${field('peer')}`, heal: 'link heal', command: field('command') };
    if (button.dataset.order !== 'command' || field('command')) give(field('server'), orders[button.dataset.order]);
  });
}
$('#order [name=server]').addEventListener('change', () => {
  const server = $('#order [name=server]').value;
  options($('#order [name=peer]'), [...$('#order [name=server]').options].map((one) => one.value).filter((id) => id !== server));
});
