// Search, selection, and the panel with details.
  // Search: only what matches is shown, with what it is plugged into.
  const isFiltered = () => search.value.trim() !== "";

  function textOf(item) {
    if (item.text === undefined) {
      const names = item.plugs.flatMap((plug) => plug.ends.map(({ far }) => far.item.lines[far.line].textContent));
      const own = item.kind === "bridge" ? [item.data.own, item.data.inside, item.data.findings] : item.data;
      item.text = [...wordsOf(own), ...(item.kind === "netns" ? names : [])].join("\n").toLowerCase();
    }
    return item.text;
  }

  const wordsOf = (value) => {
    if (value === null || value === undefined || typeof value === "boolean") return [];
    if (typeof value === "object") return Object.values(value).flatMap(wordsOf);
    return [String(value)];
  };

  function filter() {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.matches = words.every((word) => textOf(item).includes(word));
    for (const item of boxes) item.isShown = item.matches;
    for (const item of bridges) {
      const hasShown = item.plugs.some((plug) => plug.ends.some(({ far }) => far.item.kind === "netns" && far.item.isShown));
      item.isShown = !words.length || item.matches || hasShown;
    }
    for (const item of items) item.element.hidden = !item.isShown;
    const shown = boxes.filter((item) => item.isShown).length;
    by("count").textContent = words.length ? `${shown} of ${boxes.length} shown` : `${counted(boxes.length, "namespace")} and the host`;
    if (selected && !selected.isShown) select(null);
    layout();
    if (words.length) view.scrollTop = 0;
  }

  // Selection: its cables are lit up to the host, and the panel has its details.
  let selected = null;

  function litFrom(item) {
    const lit = new Set(), around = new Set([item]);
    for (const plug of item.plugs) {
      for (const { line, far } of plug.ends) {
        lit.add(line);
        around.add(far.item);
        if (item.kind !== "netns" || far.item.kind !== "bridge") continue;
        for (const own of far.item.plugs[0].ends) {
          if (own.line.cable.kind === "own" || own.line.cable.kind === "port") {
            lit.add(own.line);
            around.add(own.far.item);
          }
        }
      }
    }
    return [lit, around];
  }

  function select(item) {
    if (selected) {
      selected.element.classList.remove("selected");
      selected.element.setAttribute("aria-pressed", "false");
    }
    selected = item;
    const [lit, around] = item ? litFrom(item) : [new Set(), new Set()];
    sheet.classList.toggle("some", item !== null);
    for (const line of lines) line.path.classList.toggle("lit", lit.has(line));
    for (const one of items) one.element.classList.toggle("lit", around.has(one));
    panel.hidden = item === null;
    if (!item) return;
    item.element.classList.add("selected");
    item.element.setAttribute("aria-pressed", "true");
    showDetails(item);
  }

  let current = null;
  function focus(item) {
    if (current) current.element.tabIndex = -1;
    current = item;
    item.element.tabIndex = 0;
    item.element.focus({ preventScroll: true });
    item.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function section(heading, texts) {
    if (!texts || !texts.length) return;
    panel.append(make("h3", "", heading));
    const list = make("ul");
    for (const text of texts) list.append(make("li", "", text));
    panel.append(list);
  }

  function finding(one) {
    const made = make("div", "finding");
    made.append(make("div", "", one.text));
    if (one.advice) made.append(make("div", "muted", one.advice));
    for (const command of one.fix || []) made.append(make("code", "", command));
    panel.append(made);
  }

  function nic(row) {
    const made = make("div", "nic");
    const name = make("div", "");
    name.append(make("strong", "", row.ifname), "  ", make("span", row.state === "up" ? "muted" : "alarm", row.state));
    made.append(name);
    const add = (text, className) => made.append(make("div", className, text));
    for (const address of [...(row.addresses || []), ...(row.local_addresses || [])]) add(address, "");
    for (const { far } of plugs.has(row.id) ? plugs.get(row.id).ends : []) {
      add(`plugged into ${far.item.title}: ${far.item.lines[far.line].firstChild.textContent.trim()}`, "muted");
    }
    for (const remark of row.remarks || []) add(remark, "muted");
    add([row.kind, row.mac, `MTU ${row.mtu}`, `index ${row.ifindex}`].filter(Boolean).join("  "), "muted");
    if (row.alias) add(`alias ${row.alias}`, "muted");
    for (const program of row.programs || []) add(`program ${program}`, "muted");
    panel.append(made);
  }

  function showDetails(item) {
    panel.replaceChildren();
    const close = make("button", "close", "Close");
    close.type = "button";
    close.addEventListener("click", () => { select(null); focus(item); });
    panel.append(close, make("h2", "", item.title));
    const one = item.data, facts = one.facts || {};
    if (item.kind !== "bridge") panel.append(make("div", "muted", `network namespace ${one.inode}`));
    if (one.inside) panel.append(make("div", "muted", `bridge in ${one.inside}`));
    (one.findings || []).forEach(finding);
    for (const [heading, texts] of Object.entries(facts)) {
      if (heading !== "routes") section(heading, texts);
    }
    panel.append(make("h3", "", "interfaces"));
    (item.kind === "bridge" ? [one.own, ...one.ports] : one.rows).forEach(nic);
    if (item.kind !== "bridge") section("ports", (one.ports || []).map((port) => port.text));
    section("routes", facts.routes);
    panel.scrollTop = 0;
  }
