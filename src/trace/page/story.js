'use strict';

/* Draws a story as a space-time diagram, a row for each event, and steps through it. Texts only ever become text
   nodes: nothing that a name holds is taken for markup. */
class Story {
  static ROW = 24;
  static LEFT = 62;

  constructor(part) {
    this.part = part;
    this.story = { servers: [], events: [] };
    this.at = 0;
    this.timer = null;
    this.following = true;
    this.held = null;
    const find = (name) => part.querySelector(`[data-part="${name}"]`);
    [this.paper, this.lanes, this.caption, this.place] = ['paper', 'lanes', 'caption', 'place'].map(find);
    const control = (name) => part.querySelector(`[data-do="${name}"]`);
    [this.player, this.speed, this.writes] = ['play', 'speed', 'writes'].map(control);
    const steps = { first: () => this.go(0), back: () => this.step(-1), forth: () => this.step(1),
      last: () => this.go(this.rows.length), play: () => this.toggle() };
    for (const [name, act] of Object.entries(steps)) control(name).addEventListener('click', act);
    this.speed.addEventListener('change', () => this.timer && this.play());
    this.writes.addEventListener('change', () => this.show(this.story));
    const keys = { ArrowRight: steps.forth, ArrowLeft: steps.back, Home: steps.first, End: steps.last, ' ': steps.play };
    document.addEventListener('keydown', (event) => {
      const typing = event.target.closest('input:not([type=checkbox]), select, textarea');
      const pressing = event.key === ' ' && event.target.closest('button, input, summary');
      if (typing || pressing || event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
      if (!part.offsetParent) return;
      event.preventDefault();
      keys[event.key]();
    });
    new ResizeObserver(() => this.draw()).observe(this.paper);
  }

  /* Shows a story; the place stays, or stays at the end if it grows while it is followed. */
  show(story) {
    this.story = story;
    const shown = (event) => event.kind !== 'durable' || this.writes.checked;
    this.rows = story.events.map((event, number) => number).filter((number) => shown(story.events[number]));
    this.rowOf = new Map(this.rows.map((number, row) => [number, row]));
    this.at = Math.min(this.at, this.rows.length);
    if (this.live && this.following) this.at = this.rows.length;
    this.draw();
  }

  /* A story that grows: it is followed until somebody steps back or pauses. */
  grow(story) {
    this.live = true;
    this.part.dataset.live = 'yes';
    if (this.following) this.show(story); else this.held = story;
    this.buttons();
  }

  step(by) { this.pause(); this.go(this.at + by); }

  go(to) {
    this.at = Math.max(0, Math.min(to, this.rows.length));
    if (this.live) {
      this.following = this.at === this.rows.length;
      if (this.following && this.held) { const held = this.held; this.held = null; this.show(held); }
    }
    this.draw();
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.live && this.following) { this.following = false; return this.buttons(); }
    if (this.at >= this.rows.length) {
      if (this.live) return this.go(this.rows.length);
      this.go(0);
    }
    this.play();
  }

  play() {
    clearInterval(this.timer);
    this.timer = setInterval(() => {
      if (this.at >= this.rows.length) this.pause(); else this.go(this.at + 1);
    }, Number(this.speed.value));
    this.buttons();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.buttons();
  }

  buttons() {
    const plays = this.timer !== null || (this.live && this.following);
    const words = plays ? '‖ pause' : '▶ play';
    if (this.player.textContent !== words) this.player.textContent = words;
    this.player.setAttribute('aria-label', plays ? 'Pause' : 'Play');
    this.player.setAttribute('aria-pressed', String(plays));
  }

  /* ── Drawing ── */

  x(server) {
    const room = this.width - Story.LEFT - 20, count = Math.max(1, this.story.servers.length);
    return Story.LEFT + 12 + room * (server + 0.5) / count;
  }

  y(row) { return Story.ROW * (row + 0.8); }

  make(name, attributes, text) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  draw() {
    if (!this.rows) return;
    this.width = Math.max(240, this.paper.clientWidth);
    const { story, rows } = this, last = this.at - 1;
    const height = Math.max(this.paper.clientHeight - 4, Story.ROW * (rows.length + 1));
    const svg = this.make('svg', { viewBox: `0 0 ${this.width} ${height}`, height });
    if (last >= 0) svg.append(this.make('rect', { class: 'now', x: 0, y: this.y(last) - 16, width: this.width, height: Story.ROW }));
    story.servers.forEach((_, server) => svg.append(...this.life(server, height)));
    // Rows far out of sight are left out: a long story costs no more than a short one.
    const top = Math.max(0, this.target(last) / Story.ROW - 150), bottom = last + 150;
    const near = (row) => row >= top && row <= Math.min(last, bottom);
    const shown = rows.map((number, row) => [story.events[number], row]).filter(([, row]) => near(row));
    for (const [event, row] of shown) if (event.kind === 'sent') svg.append(...this.arrow(event, row, last));
    let before = null;
    for (const [event, row] of shown) {
      const time = event.time.toFixed(event.time < 100 ? 3 : 1);
      if (time !== before) svg.append(this.make('text', { class: 'time', x: 6, y: this.y(row) }, time));
      before = time;
      svg.append(...this.mark(event, row, last));
    }
    this.paper.replaceChildren(svg);
    this.name();
    if (last >= 0) this.reveal(last);
    const current = last >= 0 ? story.events[rows[last]] : null;
    const words = current ? current.text : rows.length ? 'The beginning: nothing has happened yet.' : 'Nothing has happened yet.';
    if (this.caption.textContent !== words) this.caption.textContent = words;
    this.place.textContent = `${this.at} of ${rows.length}`;
    this.buttons();
  }

  name() {
    const svg = this.make('svg', { viewBox: `0 0 ${this.width} 30`, height: 30 });
    svg.append(this.make('text', { class: 'time', x: 6, y: 20 }, 'seconds'));
    this.story.servers.forEach((name, server) => svg.append(this.make('text', { class: 'name', x: this.x(server), y: 20 }, name)));
    this.lanes.replaceChildren(svg);
  }

  /* The line of a server's life, interrupted where it is dead. */
  life(server, height) {
    const x = this.x(server), lines = [];
    let from = 0, alive = true;
    const line = (to) => to > from && lines.push(this.make('line', { class: alive ? 'lane' : 'lane dead', x1: x, x2: x, y1: from, y2: to }));
    this.rows.slice(0, this.at).forEach((number, row) => {
      const event = this.story.events[number];
      if (event.server !== server || (event.kind !== 'crash' && event.kind !== 'start')) return;
      line(this.y(row) - 5);
      [from, alive] = [this.y(row) - 5, event.kind === 'start'];
    });
    line(height);
    return lines;
  }

  arrow(event, row, last) {
    const kind = event.message.replace(/[^a-z_]/g, ''), [x1, y1] = [this.x(event.server), this.y(row) + 3];
    const there = this.x(event.to), arrival = this.rowOf.get(event.other);
    const arrived = arrival !== undefined && arrival <= last;
    const rows = arrived ? arrival - row : Math.max(1, Math.min(last - row, 2));
    const part = arrived ? 1 : event.lost ? 0.55 : 0.4;
    const [x2, y2] = [x1 + (there - x1) * part, arrived ? this.y(arrival) - 4 : y1 + rows * Story.ROW * 0.6];
    const parts = [this.make('line', { class: `arrow ${kind}${event.lost ? ' lost' : ''}`, x1, y1, x2, y2 })];
    if (event.lost) {
      parts.push(this.make('path', { class: 'cross', d: `M${x2 - 5} ${y2 - 5}l10 10m0 -10l-10 10` }));
    } else if (arrived) {
      const angle = Math.atan2(y2 - y1, x2 - x1), back = (turn) => `${x2 - 10 * Math.cos(angle + turn)} ${y2 - 10 * Math.sin(angle + turn)}`;
      parts.push(this.make('path', { class: `head ${kind}`, d: `M${x2} ${y2}L${back(0.4)}L${back(-0.4)}Z` }));
    }
    return parts;
  }

  mark(event, row, last) {
    const y = this.y(row), fresh = row === last ? ' fresh' : '';
    if (event.server === undefined) {
      return [this.make('text', { class: `told middle${fresh}`, x: (Story.LEFT + this.width) / 2, y }, this.fit(event.text, this.width - Story.LEFT - 20))];
    }
    const x = this.x(event.server), dot = { sent: 0, received: 0, appended: 0, crash: 0 }[event.kind] ?? 3;
    const parts = [];
    if (event.kind === 'appended') parts.push(this.make('rect', { class: 'block', x: x - 6, y: y - 10, width: 12, height: 12, rx: 2 }));
    else if (event.kind === 'crash') parts.push(this.make('path', { class: 'cross', d: `M${x - 6} ${y - 10}l12 12m0 -12l-12 12` }));
    else if (dot) parts.push(this.make('circle', { class: 'dot', cx: x, cy: y - 4, r: dot }));
    if (event.kind === 'received') return parts;
    const refusal = event.kind === 'answered' && /: (refused|unavailable|invalid)/.test(event.text) ? ' refusal' : '';
    const toLeft = this.width - x < x - Story.LEFT, room = (toLeft ? x - Story.LEFT : this.width - x) - 18;
    // Beside its own line a server needn't be named.
    const own = this.story.servers[event.server];
    const bare = event.kind !== 'sent' && event.text.startsWith(own) ? event.text.slice(own.length).replace(/^(:|'s)? /, '') : event.text;
    const attributes = { class: `${event.kind}${refusal}${fresh}${toLeft ? ' end' : ''}`, x: x + (toLeft ? -12 : 12), y };
    parts.push(this.make('text', attributes, this.fit(bare, room)));
    return parts;
  }

  /* Cuts a text to what there is room for; the line above the picture has all of it. */
  fit(text, room) {
    const most = Math.max(6, Math.floor(room / 6.9));
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  target(row) { return Math.max(0, this.y(row) - this.paper.clientHeight * 0.75); }

  reveal(row) {
    const { scrollTop, clientHeight } = this.paper, y = this.y(row);
    if (y < scrollTop + 40 || y > scrollTop + clientHeight - 40) this.paper.scrollTop = this.target(row);
  }
}
