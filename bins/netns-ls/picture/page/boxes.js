// Draws the map from the JSON in the page. Every text of it is set as text, never as markup: an item for each box, a line for each of
// its texts, a plug for each interface.
  const LINE = 18, PAD = 9, GAP = 10, BAND_GAP = 28, GUTTER = 120, MARGIN = 24, HEADING = 30, BOW = 44, FAR = 400;
  const MOST_ADDRESSES = 4, MOST_PORTS = 4, LEAST_WIDTH = 150, MOST_CELLS = 66;
  const map = JSON.parse(document.getElementById("map").textContent);
  const by = (id) => document.getElementById(id);
  const sheet = by("sheet"), cables = by("cables"), panel = by("panel"), search = by("search"), view = by("view");

  function make(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  // Letters of other scripts may be twice as wide as those of ASCII, or wider: then the tooltip has them.
  const isAscii = (text) => /^[\x00-\x7f]*$/.test(text);
  const cellsOf = (text) => (isAscii(text) ? text.length : 2 * [...text].length);
  const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  // What is drawn: an item for each box, a line for each of its texts, a plug for each interface.
  const items = [], plugs = new Map();

  function addLine(item, pieces, id) {
    const line = make("div", pieces[0][1] === "title" ? "line title" : "line");
    let cells = 0;
    for (const [text, className, width] of pieces) {
      if (cells) line.append("  ");
      const span = make("span", className, text);
      if (width) span.style.minWidth = `${width}ch`;
      cells += Math.max(cellsOf(text), width || 0) + (cells ? 2 : 0);
      line.append(span);
    }
    item.cells = Math.max(item.cells, Math.min(cells, MOST_CELLS));
    if (cells > MOST_CELLS || !isAscii(line.textContent)) line.title = line.textContent;
    item.lines.push(line);
    item.element.append(line);
    if (id !== undefined) plugs.set(id, { id, item, line: item.lines.length - 1, ends: [] });
  }

  const stateOf = (row) => (row.state === "up" ? [] : [[row.state, "alarm"]]);
  const marks = (one) => (one.findings ? [[`⚠ ${one.findings.length}`, "mark"]] : []);

  function addRow(item, row, column) {
    const all = row.addresses || [];
    const texts = all.slice(0, MOST_ADDRESSES).map((text) => [text, ""]);
    if (all.length > MOST_ADDRESSES) texts.push([`${all.length - MOST_ADDRESSES} more`, "muted"]);
    for (const remark of row.remarks || []) texts.push([remark, "muted"]);
    if (!texts.length) texts.push(["no address", "muted"]);
    texts.forEach((text, at) => {
      const name = [at ? "" : row.ifname, "f", column];
      addLine(item, at ? [name, text] : [name, text, ...stateOf(row)], at ? undefined : row.id);
    });
  }

  function newItem(kind, data, title, findings) {
    const element = make("section", `item of-${kind}${findings ? " has-finding" : ""}`);
    const item = { kind, data, title, element, lines: [], cells: 0, isShown: true, at: items.length };
    element.setAttribute("role", "button");
    element.setAttribute("aria-pressed", "false");
    element.tabIndex = -1;
    element.dataset.at = item.at;
    items.push(item);
    return item;
  }

  function netnsItem(kind, one) {
    const item = newItem(kind, one, one.title, one.findings);
    const facts = one.facts || {}, rows = one.rows.filter((row) => !row.is_quiet);
    addLine(item, [[one.title, "title"], ...marks(one)]);
    if (kind === "host" && facts.containers) {
      addLine(item, [[`with ${counted(facts.containers.length, "container")} on its network`, "muted"]]);
    }
    const emptiness = one.rows.length ? "nothing but loopback" : "could not be read";
    if (!rows.length) addLine(item, [[emptiness, "muted"]]);
    const places = [...new Set((one.ports || []).map((port) => port.place))];
    if (places.length) {
      const more = places.length > MOST_PORTS ? ` and ${places.length - MOST_PORTS} more` : "";
      addLine(item, [[`port${places.length > 1 ? "s" : ""} ${places.slice(0, MOST_PORTS).join(", ")}${more}`, "muted"]]);
    }
    item.head = item.lines.length;
    const column = Math.max(0, ...rows.map((row) => cellsOf(row.ifname)));
    for (const row of rows) addRow(item, row, column);
    const addresses = rows.flatMap((row) => row.addresses || []);
    const findings = one.findings ? `, ${counted(one.findings.length, "finding")}` : "";
    item.element.setAttribute("aria-label", `${one.title}: ${addresses.join(", ") || (rows.length ? "no address" : emptiness)}${findings}`);
    return item;
  }

  function bridgeItem(one) {
    const item = newItem("bridge", one, one.own.ifname, one.findings);
    addLine(item, [[one.own.ifname, "title"], ...stateOf(one.own), ...marks(one)], one.own.id);
    if (one.inside) addLine(item, [[`in ${one.inside}`, "muted"]]);
    const all = one.own.addresses || [];
    for (const address of all.slice(0, MOST_ADDRESSES)) addLine(item, [[address, ""]]);
    if (all.length > MOST_ADDRESSES) addLine(item, [[`${all.length - MOST_ADDRESSES} more`, "muted"]]);
    if (!one.ports.length) addLine(item, [["no ports", "muted"]]);
    item.head = item.lines.length;
    for (const port of one.ports) {
      const remarks = (port.remarks || []).map((remark) => [remark, "muted"]);
      addLine(item, [[port.ifname, ""], ...remarks, ...stateOf(port)], port.id);
    }
    const inside = one.inside ? ` in ${one.inside}` : "";
    item.element.setAttribute("aria-label", `bridge ${one.own.ifname}${inside}, ${counted(one.ports.length, "port")}`);
    return item;
  }

  const boxes = map.boxes.map((one) => netnsItem("netns", one));
  const bridges = map.bridges.map(bridgeItem);
  const host = map.host ? netnsItem("host", map.host) : null;
  const lines = map.cables.flatMap((cable) => {
    const from = plugs.get(cable.from), to = plugs.get(cable.to);
    if (!from || !to) return [];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", `c ${cable.kind}${cable.is_up ? "" : " down"}`);
    const line = { cable, from, to, path };
    from.ends.push({ line, far: to });
    to.ends.push({ line, far: from });
    return [line];
  });
  const rank = { netns: 0, bridge: 1, host: 2 };
  for (const line of lines) {
    if (rank[line.from.item.kind] > rank[line.to.item.kind]) [line.from, line.to] = [line.to, line.from];
  }
  for (const item of items) item.plugs = [];
  for (const plug of plugs.values()) plug.item.plugs.push(plug);
