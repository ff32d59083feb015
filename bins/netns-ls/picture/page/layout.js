// Where everything is: three columns, and bands of what is beside each bridge.
  const levelOf = (plug) => plug.ends.filter(({ line, far }) => line.cable.kind !== "stacked" && far.item.isShown && far.y !== undefined);

  function put(item, top) {
    item.top = top;
    item.height = 2 * PAD + LINE * item.lines.length;
    for (const plug of item.plugs) plug.y = top + PAD + LINE * plug.line + LINE / 2;
  }

  // Gives lines from the first on the levels that they want, each below the one before.
  function putOnLevels(item, rows) {
    let next = item.top + PAD + LINE * item.head + LINE / 2;
    const order = [];
    for (const { plug, level, count } of rows) {
      const y = Math.max(next, level);
      item.lines[plug.line].style.marginTop = `${y - next}px`;
      for (let at = 0; at < count; at++) order.push(item.lines[plug.line + at]);
      plug.y = y;
      next = y + LINE * count;
    }
    // Moving lines costs more than all else: only where their order is another one.
    const old = item.order || item.lines.slice(item.head);
    if (order.length !== old.length || order.some((line, at) => line !== old[at])) {
      item.element.append(...order);
      item.order = order;
    }
    item.height = next - LINE / 2 + PAD - item.top;
  }

  function putBridge(item, top) {
    put(item, top);
    const ports = item.plugs.filter((plug) => plug.line >= item.head).map((plug) => {
      const far = levelOf(plug).find(({ far }) => far.y >= top);
      plug.isShown = !isFiltered() || item.matches || plug.ends.some((end) => end.far.item.isShown);
      item.lines[plug.line].hidden = !plug.isShown;
      return { plug, level: far ? far.far.y : -1, count: 1 };
    }).filter((row) => row.plug.isShown);
    putOnLevels(item, [...ports.filter((row) => row.level >= 0), ...ports.filter((row) => row.level < 0)]);
  }

  function putHost(top) {
    put(host, top);
    const starts = host.plugs.filter((plug) => plug.line >= host.head).sort((one, other) => one.line - other.line);
    const rows = starts.map((plug, at) => {
      plug.y = undefined;
      const far = levelOf(plug)[0], isLost = plug.ends.length > 0 && plug.ends.every((end) => !end.far.item.isShown);
      const end = at + 1 < starts.length ? starts[at + 1].line : host.lines.length;
      return { plug, level: far ? far.far.y : top, isLost, count: end - plug.line };
    });
    rows.sort((one, other) => one.isLost - other.isLost || one.level - other.level);
    putOnLevels(host, rows);
  }

  function layout() {
    for (const plug of plugs.values()) plug.y = undefined;
    let y = MARGIN + HEADING;
    for (const band of map.bands) {
      const bridge = band.bridge === undefined ? null : bridges[band.bridge];
      const shown = band.boxes.map((at) => boxes[at]).filter((item) => item.isShown);
      if (bridge ? !bridge.isShown : !shown.length) continue;
      let next = y + (bridge ? Math.max(0, LINE * (bridge.head - 1)) : 0), bottom = y;
      for (const item of shown) {
        put(item, next);
        item.lane = bridge ? y - BAND_GAP / 2 : undefined;
        bottom = next + item.height;
        next = bottom + GAP;
      }
      if (bridge) {
        putBridge(bridge, y);
        bottom = Math.max(bottom, y + bridge.height);
      }
      y = bottom + BAND_GAP;
    }
    if (host) putHost(MARGIN + HEADING);
    let x = MARGIN, height = 0;
    for (const head of sheet.querySelectorAll(".head")) head.remove();
    const columns = [[boxes, "Containers and namespaces"], [bridges, "Bridges"], [host ? [host] : [], "Host and way out"]];
    for (const [all, heading] of columns) {
      const shown = all.filter((item) => item.isShown);
      if (!shown.length) continue;
      const cells = Math.max(heading.length, ...shown.map((item) => item.cells));
      const width = Math.max(LEAST_WIDTH, Math.ceil(cells * cell) + 2 * PAD + 4);
      const head = make("h2", "head", heading);
      head.style.left = `${x}px`;
      sheet.append(head);
      for (const item of shown) {
        item.x = x;
        item.width = width;
        const style = item.element.style;
        style.left = `${x}px`;
        style.top = `${item.top}px`;
        style.width = `${width}px`;
        style.height = `${item.height}px`;
        height = Math.max(height, item.top + item.height);
      }
      x += width + GUTTER;
    }
    const width = x - GUTTER + 2 * MARGIN;
    cables.setAttribute("width", width);
    cables.setAttribute("height", height + MARGIN);
    sheet.style.width = `${width}px`;
    sheet.style.height = `${height + MARGIN}px`;
    lines.forEach(draw);
    drawWaysOut();
  }

  // How wide a letter is. Asked for before anything else is in the page, which the browser would have to lay out for it.
  const cell = (() => {
    const ruler = make("span", "line", "0".repeat(100));
    ruler.style.position = "absolute";
    sheet.append(ruler);
    const { width } = ruler.getBoundingClientRect();
    ruler.remove();
    return width / 100;
  })();

  function curve(x1, y1, x2, y2) {
    const half = (x1 + x2) / 2;
    return y1 === y2 ? `H${x2}` : `C${half} ${y1} ${half} ${y2} ${x2} ${y2}`;
  }

  function draw({ from, to, path }) {
    const isShown = from.item.isShown && to.item.isShown && from.y !== undefined && to.y !== undefined;
    path.setAttribute("visibility", isShown ? "visible" : "hidden");
    if (!isShown) return;
    const x1 = from.item.x + from.item.width, y1 = from.y, y2 = to.y;
    let data = `M${x1} ${y1}`;
    const middle = bridges.find((item) => item.isShown);
    if (from.item.kind === to.item.kind) {
      data += `C${x1 + BOW} ${y1} ${x1 + BOW} ${y2} ${x1} ${y2}`;
    } else if (from.item.kind === "netns" && to.item.kind === "host" && middle) {
      const lane = from.item.lane === undefined ? y1 : from.item.lane, right = middle.x + middle.width;
      data += `${curve(x1, y1, middle.x, lane)}H${right}${curve(right, lane, to.item.x, y2)}`;
    } else {
      data += curve(x1, y1, to.item.x, y2);
    }
    path.setAttribute("d", data);
    path.classList.toggle("far", Math.abs(y1 - y2) > FAR);
  }

  function drawWaysOut() {
    for (const old of cables.querySelectorAll(".out")) old.remove();
    for (const row of host ? host.data.rows : []) {
      const plug = plugs.get(row.id);
      if (!row.is_way_out || !plug || plug.y === undefined) continue;
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", "c out");
      path.setAttribute("d", `M${host.x + host.width} ${plug.y}h24m-7-5l7 5l-7 5`);
      cables.append(path);
    }
  }
