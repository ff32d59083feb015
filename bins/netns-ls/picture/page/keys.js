// The keyboard and the mouse, and the first drawing.
  function neighbour(step) {
    const shown = [...boxes, ...bridges, ...(host ? [host] : [])].filter((item) => item.isShown);
    const column = shown.filter((item) => !current || item.kind === current.kind);
    const at = column.indexOf(current);
    return at < 0 ? shown[0] : column[Math.min(column.length - 1, Math.max(0, at + step))];
  }

  function along(step) {
    if (!current) return neighbour(0);
    const want = rank[current.kind] + step;
    const ends = current.plugs.flatMap((plug) => plug.ends.map(({ far }) => far.item)).filter((item) => item.isShown);
    return ends.find((item) => rank[item.kind] === want) || ends.find((item) => (rank[item.kind] - rank[current.kind]) * step > 0);
  }

  let lastFinding = -1;
  function nextFinding() {
    const all = items.filter((item) => item.data.findings && item.isShown);
    if (!all.length) return;
    lastFinding = (lastFinding + 1) % all.length;
    select(all[lastFinding]);
    focus(all[lastFinding]);
  }

  function toggleHelp() {
    const help = by("help");
    help.hidden = !help.hidden;
    by("keys").setAttribute("aria-expanded", String(!help.hidden));
  }

  function moveTo(item) {
    if (!item) return;
    focus(item);
    if (selected) select(item);
  }

  const keys = {
    "/": () => { search.focus(); search.select(); },
    "?": toggleHelp,
    n: nextFinding,
    Escape: () => { if (selected) { const item = selected; select(null); focus(item); } else if (isFiltered()) { search.value = ""; filter(); } },
    ArrowDown: () => moveTo(neighbour(1)),
    ArrowUp: () => moveTo(neighbour(-1)),
    ArrowRight: () => moveTo(along(1)),
    ArrowLeft: () => moveTo(along(-1)),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === "Escape") { search.value = ""; filter(); search.blur(); event.preventDefault(); }
      if (event.key === "ArrowDown" || event.key === "Enter") {
        const first = boxes.find((item) => item.isShown) || items.find((item) => item.isShown);
        if (first) { focus(first); if (event.key === "Enter") select(first); event.preventDefault(); }
      }
      return;
    }
    const item = event.target.dataset && event.target.dataset.at !== undefined ? items[event.target.dataset.at] : null;
    if (item && (event.key === "Enter" || event.key === " ")) {
      select(selected === item ? null : item);
      event.preventDefault();
    } else if (keys[event.key] && !(event.key.startsWith("Arrow") && panel.contains(event.target))) {
      keys[event.key]();
      event.preventDefault();
    }
  });
  sheet.addEventListener("click", (event) => {
    const element = event.target.closest(".item");
    const item = element ? items[element.dataset.at] : null;
    select(item);
    if (item) focus(item);
  });
  search.addEventListener("input", filter);
  by("keys").addEventListener("click", toggleHelp);
  by("findings").addEventListener("click", nextFinding);

  // The page.
  const name = map.host_name || "";
  document.title = name ? `${name}: netns-ls` : "netns-ls";
  by("what").textContent = [name || "netns-ls", map.taken_at].filter(Boolean).join("  ");
  const findings = items.reduce((sum, item) => sum + (item.data.findings || []).length, 0);
  by("findings").hidden = !findings;
  by("findings").textContent = `⚠ ${counted(findings, "finding")}`;
  by("unseen").hidden = !map.unseen;
  by("unseen").textContent = map.unseen ? `Not looked at: ${map.unseen}` : "";
  const first = boxes[0] || host;
  if (first) { current = first; first.element.tabIndex = 0; }
  filter();
  cables.append(...lines.map((line) => line.path));
  sheet.append(...items.map((item) => item.element));
