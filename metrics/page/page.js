"use strict";
// Asks for the samples it does not have yet, each second while it is seen, and shows them.

const POLL_MS = 1000;
const PATIENCE_MS = 6000;
const KEPT_S = 640;
const NONE = "nothing yet";

const $ = selector => document.querySelector(selector);
const last = () => view.samples[view.samples.length - 1];

// The charts

const shards = of => samples => {
  let count = 0;
  for (const sample of samples) count = Math.max(count, sample.shards.length);
  return Array.from({ length: count }, (_, index) => ({
    name: (count > 3 ? "" : "shard ") + index,
    color: shardColor(index),
    of: sample => sample.shards[index] ? of(sample.shards[index]) : null,
  }));
};
const router = of => samples => [{ name: "router", color: css("--router"), of }];
const both = (first, second) => samples => [...first(samples), ...second(samples)];
const line = (name, color, key) => ({ name, color: css(color), of: sample => sample[key] });

const CHARTS = [
  { title: "Commands per second", series: shards(shard => shard.ops), unit: format.count, stacked: true, floor: 10 },
  {
    title: "Latency in the shards", unit: format.micros, logarithmic: true,
    tick: value => value >= 1e6 ? value / 1e6 + " s" : value >= 1e3 ? value / 1e3 + " ms" : value + " µs",
    series: () => [line("p50", "--c2", "p50"), line("p99", "--c1", "p99"), line("p99.9", "--c3", "p999")],
  },
  {
    title: "Memory", unit: format.bytes, stacked: true, binary: true, floor: 1 << 20,
    series: both(router(sample => sample.router_memory), shards(shard => shard.memory)),
  },
  {
    title: "CPU per process", unit: format.percent, floor: 1, tick: value => Math.round(value * 100) + " %",
    series: both(router(sample => sample.router_cpu), shards(shard => shard.cpu)),
  },
  {
    title: "Look-ups per second", unit: format.count, stacked: true, floor: 10,
    series: () => [line("hits", "--c2", "hits"), line("misses", "--c1", "misses")],
  },
  {
    title: "Log", unit: format.bytes, stacked: true, binary: true, floor: 1 << 10, series: shards(shard => shard.log),
    shade: sample => sample.rewriting,
  },
  {
    title: "Clients", unit: format.count, filled: true, floor: 4,
    series: () => [line("connected", "--c0", "clients"), line("blocked", "--c3", "blocked")],
  },
  {
    title: "Network", unit: format.speed, filled: true, binary: true, floor: 1 << 10, tick: format.bytes,
    series: () => [line("in", "--c0", "in"), line("out", "--c4", "out")],
  },
];
for (const what of CHARTS) new Chart($("#charts"), what);

// The tiles

const TILES = [
  ["Commands per second", sample => format.count(sample.ops)],
  ["p99 latency", sample => format.micros(sample.p99)],
  ["Memory", sample => format.bytes(sample.memory),
    // Not all of it counts for the limit.
    status => status.maxmemory ? format.bytes(status.counted) + " of " + format.bytes(status.maxmemory) : ""],
  ["Keys", sample => sample.keys == null ? "–" : sample.keys.toLocaleString("en")],
  ["Hit ratio", sample => format.percent(sample.hit_ratio)],
  ["Clients", sample => format.count(sample.clients), status => "of " + format.count(status.maxclients)],
];
const tiles = TILES.map(([title]) => {
  const tile = document.createElement("div");
  tile.className = "tile";
  tile.innerHTML = "<span></span><b></b>";
  tile.firstChild.textContent = title;
  $("#tiles").append(tile);
  return tile;
});

function showTiles(status) {
  const sample = last();
  TILES.forEach(([, value, more], place) => {
    const figure = tiles[place].lastChild;
    figure.textContent = sample && sample.up ? value(sample) : "–";
    if (more && status.up && more(status)) {
      const small = document.createElement("small");
      small.textContent = more(status);
      figure.append(small);
    }
  });
}

// The tables: rows are made when there are more, and then only what has changed is written.

function rows(table, count, columns) {
  const body = $(table + " tbody");
  while (body.rows.length > count) body.deleteRow(-1);
  while (body.rows.length < count) {
    const row = body.insertRow();
    for (let place = 0; place < columns.length; place++) row.insertCell().className = columns[place];
  }
  return body.rows;
}

function put(cell, text) { if (cell.textContent !== text) cell.textContent = text; }

function pill(cell, text, kind) {
  if (!cell.firstChild) cell.append(document.createElement("span"));
  cell.firstChild.className = "pill " + kind;
  put(cell.firstChild, text);
}

function bar(cell, share, color, text) {
  if (!cell.firstChild) {
    const parts = document.createElement("div");
    parts.className = "bar";
    parts.innerHTML = "<div><i></i></div><span></span>";
    cell.append(parts);
  }
  const fill = cell.querySelector("i");
  fill.style.width = (share * 100).toFixed(1) + "%";
  fill.style.background = color;
  put(cell.querySelector("span"), text);
}

function stateOf(shard) {
  if (shard.state === "down") return ["down", "bad"];
  if (shard.state === "loading") {
    const share = shard.total_bytes ? Math.floor(shard.loaded_bytes / shard.total_bytes * 100) : 0;
    return ["loading " + share + " %", "warn"];
  }
  if (shard.state === "loaded") return ["waits for others", "warn"];
  if (!shard.fresh) return ["busy", "warn"];
  if (shard.refusing) return ["refuses writes", "bad"];
  return ["ready", "good"];
}

function rewriteOf(shard, enabled) {
  if (!enabled) return "no log";
  if (shard.log_ok === false) return "failed, see the log";
  if (shard.rewriting) return "under way";
  return shard.rewrites ? shard.rewrites + " done" : "none yet";
}

function showShards(status) {
  const found = rows("#shards", status.shards.length, ["", "", "n", "n", "n", "", "n", "", "n", "n"]);
  const most = Math.max(1, ...status.shards.map(shard => shard.keys || 0));
  const sample = last();
  status.shards.forEach((shard, place) => {
    const cells = found[place].cells, figures = sample && sample.shards[place] || {}, known = shard.keys != null && shard.state !== "down";
    if (!cells[0].firstChild) {
      const square = document.createElement("i");
      square.style.background = "var(--c" + shard.index % 8 + ")";
      cells[0].append(square, String(shard.index));
    }
    found[place].dataset.state = shard.state;
    pill(cells[1], ...stateOf(shard));
    put(cells[2], known ? format.count(figures.ops) : "–");
    put(cells[3], known ? format.percent(figures.cpu) : "–");
    put(cells[4], known ? format.bytes(shard.memory_bytes) : "–");
    bar(cells[5], known ? shard.keys / most : 0, "var(--c" + shard.index % 8 + ")", known ? shard.keys.toLocaleString("en") : "–");
    put(cells[6], known ? format.bytes(shard.log_bytes) : "–");
    put(cells[7], known ? rewriteOf(shard, status.log_enabled) : "–");
    put(cells[8], known ? format.duration(shard.uptime_s) : "–");
    put(cells[9], known ? String(shard.pid) : "–");
  });
}

function nothing(table, columns) {
  const row = rows(table, 1, columns)[0];
  row.className = "none";
  for (const cell of row.cells) cell.replaceChildren();
  row.cells[0].textContent = NONE;
}

function showCommands(status) {
  const columns = ["", "n", "n", "n", ""];
  if (!status.commands.length) { nothing("#commands", columns); return; }
  const shown = status.commands.slice(0, 10), found = rows("#commands", shown.length, columns);
  const most = Math.max(...shown.map(one => one.busy), 1e-9);
  shown.forEach((one, place) => {
    const row = found[place], cells = row.cells;
    if (row.className) { row.className = ""; cells[4].replaceChildren(); }
    put(cells[0], one.name.toUpperCase().replace("|", " "));
    put(cells[1], format.count(one.calls));
    put(cells[2], format.micros(one.mean));
    put(cells[3], format.micros(one.p99));
    bar(cells[4], one.busy / most, "var(--c0)", format.percent(one.busy));
  });
}

function showSlow(status) {
  put($("#slow-length"), status.slow_length ? status.slow_length + (status.slow_length === 1 ? " entry" : " entries") : "");
  const columns = ["", "n", "n"];
  if (!status.slow.length) { nothing("#slow", columns); return; }
  const shown = status.slow.slice(0, 10), found = rows("#slow", shown.length, columns);
  shown.forEach(([, at, took, name], place) => {
    found[place].className = "";
    put(found[place].cells[0], name.toUpperCase().replace("|", " "));
    put(found[place].cells[1], format.micros(took));
    put(found[place].cells[2], format.clock(at, true));
  });
}

function showEvents(status) {
  const columns = ["", "n"];
  if (!status.events.length) { nothing("#events", columns); return; }
  const shown = status.events.slice(-10).reverse(), found = rows("#events", shown.length, columns);
  shown.forEach(([at, text], place) => {
    found[place].className = "";
    put(found[place].cells[0], text);
    put(found[place].cells[1], format.clock(at, true));
  });
}

// How it stands, in a word

function verdict(status) {
  if (!status.up) return ["bad", "router is gone", "The router " + (status.fault || "is not there") + ". This page goes on by itself when it is back."];
  const down = status.shards.filter(shard => shard.state === "down").map(shard => shard.index);
  if (down.length) {
    const which = (down.length === 1 ? "shard " : "shards ") + down.join(", ");
    const verb = down.length === 1 ? " is down" : " are down";
    return ["bad", which + verb, which[0].toUpperCase() + which.slice(1) + verb + ". Commands for " + (down.length === 1 ? "its" : "their") + " keys are answered with -SHARDDOWN; all others are served."];
  }
  const refusing = status.shards.filter(shard => shard.refusing);
  if (refusing.length) return ["bad", "writes are refused", "The log of shard " + refusing.map(shard => shard.index).join(", ") + " can't be written: writes are refused, reads are served."];
  const loading = status.shards.filter(shard => shard.state !== "ready");
  if (loading.length) return ["warn", loading.length === 1 ? "shard " + loading[0].index + " is loading" : loading.length + " shards are loading", ""];
  const busy = status.shards.filter(shard => !shard.fresh);
  if (busy.length) return ["warn", "shard " + busy.map(shard => shard.index).join(", ") + " is busy", ""];
  const count = status.shards.length;
  return ["good", count === 1 ? "the shard is ready" : "all " + count + " shards ready", ""];
}

function showState(kind, text, notice) {
  $("#state").className = kind;
  put($("#state span"), text);
  $("#notice").className = kind;
  put($("#notice"), notice);
  $("#notice").hidden = !notice;
}

function show(status) {
  document.body.classList.toggle("stale", !status.up);
  showState(...verdict(status));
  showTiles(status);
  showEvents(status);
  const kind = verdict(status)[0];
  if (status.up) {
    document.title = (kind === "bad" ? "⚠ " : "") + "Shardis " + (status.port === "0" ? "" : status.port);
    put($("#about"), "port " + status.port + " · Valkey " + status.version + " · up " + format.duration(status.uptime)
      + (status.saving ? " · saves a file" : ""));
    showShards(status);
    showCommands(status);
    showSlow(status);
  } else document.title = "⚠ Shardis";
  redraw();
}

// Asking

let timer = 0, asking = false;

async function ask() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  const began = performance.now();
  try {
    const after = last() ? last().t : 0;
    const answer = await fetch("/samples.json?after=" + after, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error("status " + answer.status);
    const status = await answer.json();
    view.samples.push(...status.samples);
    if (!view.seconds) choose(status.samples.length && status.now - status.samples[0].t > 150 ? 600 : 120);
    view.now = Math.max(status.now, last() ? last().t : 0);
    while (view.samples.length && view.samples[0].t < view.now - KEPT_S) view.samples.shift();
    show(status);
    document.documentElement.dataset.samples = view.samples.length;
  } catch (error) {
    document.body.classList.add("stale");
    showState("wait", "no connection", "The metrics process can't be reached: " + (error.name === "TimeoutError" ? "it does not answer" : "it is not there") + ". Trying again each second.");
    document.title = "⚠ Shardis";
  }
  asking = false;
  timer = setTimeout(ask, Math.max(100, POLL_MS - (performance.now() - began)));
}

function choose(seconds) {
  view.seconds = seconds;
  for (const button of document.querySelectorAll("#range button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.seconds) === seconds));
  }
  redraw();
}

for (const button of document.querySelectorAll("#range button")) {
  button.addEventListener("click", () => {
    history.replaceState(null, "", "#" + button.dataset.seconds);
    choose(Number(button.dataset.seconds));
  });
}
document.addEventListener("visibilitychange", ask);
if (["#120", "#600"].includes(location.hash)) choose(Number(location.hash.slice(1)));
ask();
