// QuickJS has no structuredClone; dagre copies plain labels with it.
globalThis.structuredClone ??= (value) => JSON.parse(JSON.stringify(value));

// place gives boxes their places, and edges their bends. dagre names its own nodes by a counter, and is otherwise the same
// each time.
function place({direction, nodes, edges}) {
  const g = new dagre.graphlib.Graph({compound: true, multigraph: true});
  const across = direction === 'LR';
  g.setGraph({rankdir: direction, nodesep: 30, ranksep: across ? 44 : 34, edgesep: 10, marginx: 16, marginy: 24});
  for (const n of nodes) g.setNode(n.id, {width: n.width, height: n.height});
  for (const n of nodes) if (n.parent) {
    g.setNode(n.parent, {});
    g.setParent(n.id, n.parent);
  }
  edges.forEach((e, i) => g.setEdge(e.from, e.to, {width: e.width, height: e.height, labelpos: 'c'}, String(i)));
  dagre.layout(g);
  const box = (id) => { const {x, y, width, height} = g.node(id); return {id, x, y, width, height}; };
  const {width, height} = g.graph();
  return JSON.stringify({
    width, height, boxes: g.nodes().map(box),
    bends: edges.map((e, i) => { const {points, x, y} = g.edge(e.from, e.to, String(i)); return {points, x, y}; }),
  });
}
