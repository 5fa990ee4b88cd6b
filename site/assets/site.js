// Search, copying, and the list of pages on narrow windows. The text is there without any of this.
(() => {
  const input = document.getElementById('search'), results = document.getElementById('results');
  const base = new URL('search.js', document.currentScript.src);
  let pages, wanted = false;

  window.apptierSearch = (found) => {
    pages = found.map((p) => ({...p, lower: p.text.toLowerCase(), name: p.title.toLowerCase()}));
    show();
  };
  // A script and no request, so that it works from a folder too.
  const load = () => {
    if (wanted) return;
    wanted = true;
    document.head.append(Object.assign(document.createElement('script'), {src: base.href}));
  };

  const score = (p, words) => {
    let sum = 0;
    for (const w of words) {
      const heading = p.headings.find(([, text]) => text.toLowerCase().includes(w));
      const here = (p.name.includes(w) ? 20 : 0) + (heading ? 8 : 0) + (p.lower.includes(w) ? 1 + Math.min(4, p.lower.split(w).length / 4) : 0);
      if (!here) return 0;
      sum += here;
    }
    return sum;
  };
  const marked = (text, words) => {
    const span = document.createElement('span');
    const pattern = new RegExp(`(${words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'ig');
    text.split(pattern).forEach((part, i) => span.append(i % 2 ? Object.assign(document.createElement('mark'), {textContent: part}) : part));
    return span;
  };
  const entry = (p, words) => {
    const heading = p.headings.find(([, text]) => words.every((w) => text.toLowerCase().includes(w)));
    const at = Math.max(0, p.lower.indexOf(words[0]));
    const a = document.createElement('a');
    a.href = new URL(p.url + (heading ? '#' + heading[0] : ''), base).href;
    a.append(Object.assign(document.createElement('b'), {textContent: p.title + (heading ? ' › ' + heading[1] : '')}));
    a.append(marked((at > 50 ? '… ' : '') + p.text.slice(Math.max(0, at - 50), at + 110).replace(/\s+/g, ' ') + ' …', words));
    const li = document.createElement('li');
    li.append(a);
    return li;
  };
  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.hidden = !pages || !words.length;
    if (results.hidden) return;
    const found = pages.map((p) => [score(p, words), p]).filter(([s]) => s).sort((a, b) => b[0] - a[0]).slice(0, 12);
    results.replaceChildren(...found.map(([, p]) => entry(p, words)));
    if (!found.length) results.append(Object.assign(document.createElement('li'), {className: 'none', textContent: 'Nothing found.'}));
  }
  input.addEventListener('focus', load);
  input.addEventListener('input', () => { load(); show(); });
  document.addEventListener('click', (e) => { if (!e.target.closest('.search')) results.hidden = true; });
  document.addEventListener('keydown', (e) => {
    if (e.key === '/' && !e.target.closest('input, textarea')) { e.preventDefault(); input.focus(); }
    if (e.key === 'Escape') { results.hidden = true; input.blur(); }
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp' || results.hidden) return;
    const links = [...results.querySelectorAll('a')], at = links.indexOf(document.activeElement);
    const next = e.key === 'ArrowDown' ? links[at + 1] : at > 0 ? links[at - 1] : input;
    if (next) { e.preventDefault(); next.focus(); }
  });

  for (const box of document.querySelectorAll('.highlight')) {
    const button = Object.assign(document.createElement('button'), {className: 'copy', type: 'button', textContent: 'Copy'});
    button.addEventListener('click', async () => {
      const code = box.querySelector('code');
      const prompts = code.textContent.split('\n').filter((l) => l.startsWith('$ ')).map((l) => l.slice(2));
      await navigator.clipboard.writeText(prompts.length ? prompts.join('\n') : code.textContent);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    box.append(button);
  }

  // The page that one is on is in sight in the list, and nothing else scrolls for that.
  const list = document.querySelector('nav.pages'), current = list.querySelector('[aria-current]');
  if (current) list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
})();
