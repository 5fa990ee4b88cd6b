'use strict';
const $ = (id) => document.getElementById(id);
const svgs = [...document.querySelectorAll('svg.map')];
let chosen = null; // the number of the node that is in focus
let zoom = 0; // 0 fits the window

// full names whom a node stands for; of many, the first, and all of them once it is in focus.
const full = (i) => (graph.nodes[i].members.length > 3 && i !== chosen ? `${graph.nodes[i].namespace}: ${graph.nodes[i].name}` : graph.nodes[i].members.join(', '));
const text = (i) => [graph.nodes[i].name, graph.nodes[i].kind, graph.nodes[i].namespace, graph.nodes[i].open && 'not isolated', ...graph.nodes[i].members].join(' ').toLowerCase();
const texts = graph.nodes.map((_, i) => text(i));
const isAt = (link, i) => link.from === i || link.to === i;

// add appends an element with a text: never one of markup, since names are those of manifests.
function add(to, tag, name, content) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = content;
  to.append(element);
  return element;
}

// shown are the links and nodes that a search and a focus leave.
function shown() {
  const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (all) => words.every((word) => all.includes(word));
  const found = new Set(texts.flatMap((all, i) => (has(all) ? [i] : [])));
  const links = new Set(graph.links.filter((link) => (chosen === null || isAt(link, chosen)) &&
    (found.has(link.from) || found.has(link.to) || has(`${texts[link.from]} ${texts[link.to]} ${link.ports.join(' ').toLowerCase()}`))));
  const nodes = new Set(chosen === null ? found : [chosen]);
  for (const link of links) nodes.add(link.from).add(link.to);
  return {links, nodes, all: words.length === 0 && chosen === null};
}

function draw() {
  const {links, nodes, all} = shown();
  for (const svg of svgs) {
    svg.querySelectorAll('.node').forEach((node) => {
      const i = Number(node.dataset.node);
      node.classList.toggle('faint', !nodes.has(i));
      node.classList.toggle('chosen', i === chosen);
      node.setAttribute('aria-pressed', i === chosen);
    });
    svg.querySelectorAll('.edge').forEach((edge, i) => {
      edge.classList.toggle('faint', !links.has(graph.links[i]));
      edge.classList.toggle('near', !all && links.has(graph.links[i]));
    });
  }
  $('clear').disabled = all;
  const known = (of) => [...of].filter((link) => link.ports.length > 0).length;
  const asked = links.size > known(links) ? `, ${links.size - known(links)} not known` : '';
  $('count').textContent = (all ? `${graph.nodes.length} nodes, ${known(graph.links)} connections` :
    `${nodes.size} of ${graph.nodes.length} nodes, ${known(links)} of ${known(graph.links)} connections`) + asked;
  list(links);
  denied();
}

function list(links) {
  const rows = $('list');
  rows.replaceChildren();
  $('title').textContent = chosen === null ? 'Connections' : `Connections of ${graph.nodes[chosen].name}`;
  if (chosen !== null && graph.nodes[chosen].open) add(rows, 'div', 'row warn', `Not isolated: ${graph.nodes[chosen].open}. Whatever its peers allow passes, and is not drawn.`);
  for (const link of links) {
    const row = add(rows, 'div', 'row', '');
    add(row, 'b', '', full(link.from));
    row.append(' → ');
    add(row, 'b', '', full(link.to));
    if (link.ports.length) add(row, 'div', 'ports', link.ports.join(', '));
    if (link.maybe) add(row, 'div', 'soft', link.ports.length ? 'More is not known: only a cluster can say.' : 'Not known: only a cluster can say.');
    if (link.by.length) add(row, 'div', 'by', link.by.join(', '));
  }
  if (links.size === 0) add(rows, 'div', 'row soft', 'No rule allows a connection.');
}

function denied() {
  const rows = $('denied');
  rows.replaceChildren();
  const here = chosen === null ? null : [...graph.nodes[chosen].members, `namespace ${graph.nodes[chosen].namespace}`];
  const is = (names) => here === null || names.some((name) => here.includes(name));
  for (const pair of graph.denied || []) {
    if (is(pair.from) || is(pair.to)) add(rows, 'div', 'row', `${pair.from.join(', ')} ⇸ ${pair.to.join(', ')}`);
  }
  $('denied-title').hidden = rows.childElementCount === 0;
}

// fit makes pictures as large as the window, within what people read.
function fit() {
  const room = $('picture').clientWidth - 16;
  for (const svg of svgs) {
    const {width, height} = svg.viewBox.baseVal;
    const scale = zoom || Math.min(1.25, Math.max(0.6, room / width));
    svg.setAttribute('width', width * scale);
    svg.setAttribute('height', height * scale);
    svg.dataset.scale = scale;
  }
}

function larger(by) {
  const visible = svgs.find((svg) => svg.getClientRects().length > 0) || svgs[0];
  zoom = Math.min(3, Math.max(0.15, (zoom || Number(visible.dataset.scale)) * by));
  fit();
}

function choose(i) {
  chosen = i === chosen ? null : i;
  draw();
}

for (const node of document.querySelectorAll('.node')) {
  const i = Number(node.dataset.node);
  node.setAttribute('tabindex', '0');
  node.setAttribute('role', 'button');
  node.addEventListener('click', () => choose(i));
  node.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    choose(i);
  });
}
function clear() {
  chosen = null;
  $('search').value = '';
  draw();
}
$('search').addEventListener('input', draw);
$('clear').addEventListener('click', clear);
$('in').addEventListener('click', () => larger(1.25));
$('out').addEventListener('click', () => larger(0.8));
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') clear(); });
addEventListener('resize', fit);
fit();
draw();
