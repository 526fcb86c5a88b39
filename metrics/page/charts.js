"use strict";
// Charts over time on a canvas: lines or stacked areas, one time axis and one crosshair for all of them.
//
// Rule: nothing jumps. An axis keeps its end until a value is beyond it, or all of them are well below; figures have a
// fixed width; a gap in the samples is a gap in the line.

const GAP_S = 25; // Samples that are further apart have nothing between them. While nobody looks they are 10 s apart.
const LEGEND_MAX = 6;
const POINT_PIXELS = 2; // Points that are closer are one: the mean of what they stand for, of durations the longest.

const view = { seconds: 0, now: 0, samples: [], hover: null, charts: [] };

function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function shardColor(index) { return css("--c" + (index % 8)); }

const format = {
  count(value) {
    if (value == null) return "–";
    const size = Math.abs(value);
    if (size >= 1e9) return (value / 1e9).toFixed(size >= 1e10 ? 1 : 2) + "G";
    if (size >= 1e6) return (value / 1e6).toFixed(size >= 1e7 ? 1 : 2) + "M";
    if (size >= 1e4) return (value / 1e3).toFixed(1) + "k";
    if (size >= 1e3) return (value / 1e3).toFixed(2) + "k";
    return size >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
  },
  bytes(value) {
    if (value == null) return "–";
    const units = ["B", "KB", "MB", "GB", "TB"];
    let place = 0;
    while (Math.abs(value) >= 1000 && place < units.length - 1) { value /= 1024; place++; }
    return (place && value < 100 ? value.toFixed(1) : value.toFixed(0)) + " " + units[place];
  },
  speed(value) { return value == null ? "–" : format.bytes(value) + "/s"; },
  micros(value) {
    if (value == null) return "–";
    if (value >= 1e6) return (value / 1e6).toFixed(2) + " s";
    if (value >= 1e3) return (value / 1e3).toFixed(value >= 1e5 ? 0 : value >= 1e4 ? 1 : 2) + " ms";
    return (value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " µs";
  },
  percent(value) { return value == null ? "–" : (value * 100).toFixed(value >= 0.9995 || value === 0 ? 0 : 1) + " %"; },
  clock(seconds, precise) {
    const options = { hour: "2-digit", minute: "2-digit", hour12: false };
    if (precise) options.second = "2-digit";
    return new Date(seconds * 1000).toLocaleTimeString("en-GB", options);
  },
  duration(seconds) {
    if (seconds == null) return "–";
    if (seconds < 60) return Math.floor(seconds) + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return Math.floor(seconds / 3600) + " h " + Math.floor(seconds % 3600 / 60) + " min";
    return Math.floor(seconds / 86400) + " days";
  },
};

function niceEnd(value, binary) {
  if (!(value > 0)) return 1;
  const base = binary ? Math.pow(1024, Math.floor(Math.log(value) / Math.log(1024))) : 1;
  const power = base * Math.pow(10, Math.floor(Math.log10(value / base)));
  // Each a figure whose quarter is one, too.
  for (const step of [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}

class Chart {
  // what: {title, series: () => [{name, color, of: sample => number | null}], unit, stacked, logarithmic, floor, shade}
  constructor(parent, what) {
    this.what = what;
    this.end = 0;
    const card = document.createElement("section");
    card.className = "card chart";
    card.innerHTML = '<div class="head"><h2></h2><div class="legend"></div></div><canvas role="img"></canvas>';
    card.querySelector("h2").textContent = what.title;
    this.legend = card.querySelector(".legend");
    this.canvas = card.querySelector("canvas");
    this.canvas.setAttribute("aria-label", what.title);
    this.canvas.dataset.chart = what.title;
    parent.append(card);
    this.entries = [];
    this.canvas.addEventListener("pointermove", event => {
      const box = this.canvas.getBoundingClientRect();
      view.hover = this.timeAt(event.clientX - box.left);
      redraw();
    });
    this.canvas.addEventListener("pointerleave", () => { view.hover = null; redraw(); });
    view.charts.push(this);
  }

  timeAt(x) { return view.now - view.seconds + (x - this.left) / (this.right - this.left) * view.seconds; }
  xOf(time) { return this.left + (time - view.now + view.seconds) / view.seconds * (this.right - this.left); }

  yOf(value) {
    const share = this.what.logarithmic
      ? Math.log10(Math.max(value, this.low) / this.low) / Math.log10(this.end / this.low)
      : value / this.end;
    return this.bottom - Math.min(1, Math.max(0, share)) * (this.bottom - this.top);
  }

  draw() {
    const canvas = this.canvas, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !view.seconds) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const ink = canvas.getContext("2d");
    ink.setTransform(ratio, 0, 0, ratio, 0, 0);
    ink.clearRect(0, 0, width, height);
    ink.font = "11px " + getComputedStyle(document.body).fontFamily;
    Object.assign(this, { left: 54, right: width - 4, top: 8, bottom: height - 20 });
    const from = view.now - view.seconds - GAP_S;
    const samples = view.samples.filter(sample => sample.t >= from);
    const series = this.what.series(samples);
    const rows = this.values(series, samples);
    const points = this.points(samples, rows);
    this.scale(points.rows);
    this.grid(ink, width);
    ink.save();
    ink.beginPath();
    ink.rect(this.left, 0, this.right - this.left, height);
    ink.clip();
    this.marks(ink, samples);
    for (let place = series.length - 1; place >= 0; place--) {
      this.line(ink, points.times, points.rows[place], series[place].color, this.what.stacked && place ? points.rows[place - 1] : null);
    }
    const at = this.hovered(samples);
    if (at >= 0) this.crosshair(ink, samples[at], series, rows, at);
    ink.restore();
    this.write(series, samples, at >= 0 ? at : samples.length - 1);
  }

  // The values of each line at each sample, stacked ones with all below them; null where there is none.
  values(series, samples) {
    const rows = series.map(one => samples.map(sample => {
      const value = sample.up ? one.of(sample) : null;
      return value == null || Number.isNaN(value) ? null : value;
    }));
    if (this.what.stacked) {
      for (let place = 1; place < rows.length; place++) {
        rows[place] = rows[place].map((value, at) => value == null && rows[place - 1][at] == null
          ? null : (value || 0) + (rows[place - 1][at] || 0));
      }
    }
    return rows;
  }

  // What is drawn: the samples, or some of them taken together where there are more than there is room for.
  points(samples, rows) {
    const step = view.seconds * POINT_PIXELS / (this.right - this.left);
    const groups = [];
    samples.forEach((sample, at) => {
      const key = step > 1 ? Math.floor(sample.t / step) : at;
      if (groups.length && groups[groups.length - 1].key === key) groups[groups.length - 1].at.push(at);
      else groups.push({ key, at: [at] });
    });
    const together = values => this.what.logarithmic ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      times: groups.map(group => group.at.reduce((sum, at) => sum + samples[at].t, 0) / group.at.length),
      rows: rows.map(row => groups.map(group => {
        const known = group.at.map(at => row[at]).filter(value => value != null);
        return known.length ? together(known) : null;
      })),
    };
  }

  scale(rows) {
    let most = 0, least = Infinity;
    for (const row of rows) for (const value of row) if (value != null) {
      if (value > most) most = value;
      if (value > 0 && value < least) least = value;
    }
    if (this.what.logarithmic) {
      this.low = Math.pow(10, Math.floor(Math.log10(Math.min(least, 1))));
      this.end = Math.pow(10, Math.max(Math.ceil(Math.log10(Math.max(most, 1))), Math.log10(this.low) + 2));
      return;
    }
    if (this.what.end) { this.end = this.what.end; return; }
    const wanted = niceEnd(Math.max(most * 1.06, this.what.floor || 0), this.what.binary);
    if (most > this.end || wanted < this.end * 0.55 || !this.end) this.end = wanted;
  }

  grid(ink, width) {
    const ticks = [];
    if (this.what.logarithmic) {
      for (let value = this.low; value <= this.end * 1.001; value *= 10) ticks.push(value);
    } else for (let step = 0; step <= 4; step++) ticks.push(this.end * step / 4);
    ink.fillStyle = css("--soft");
    ink.strokeStyle = css("--grid");
    ink.lineWidth = 1;
    ink.textAlign = "right";
    ink.textBaseline = "middle";
    const every = ticks.length > 6 ? 2 : 1;
    ticks.forEach((value, place) => {
      const y = Math.round(this.yOf(value)) + 0.5;
      ink.beginPath(); ink.moveTo(this.left, y); ink.lineTo(this.right, y); ink.stroke();
      if (place % every === 0) ink.fillText((this.what.tick || this.what.unit)(value).replace(/\.0+(?=\D|$)|(\.\d*[1-9])0+(?=\D)/, "$1"), this.left - 8, y);
    });
    const step = view.seconds > 300 ? (width < 420 ? 240 : 120) : (width < 420 ? 60 : 30);
    ink.textAlign = "center";
    ink.textBaseline = "alphabetic";
    for (let time = Math.ceil((view.now - view.seconds) / step) * step; time <= view.now; time += step) {
      const x = this.xOf(time);
      if (x > this.left + 16 && x < this.right - 22) ink.fillText(format.clock(time, view.seconds <= 300), x, this.bottom + 15);
    }
  }

  // Behind the lines: when the router was gone, a shard was down, a log was being rewritten.
  marks(ink, samples) {
    let known = false; // A server that starts is not wrong.
    samples.forEach((sample, at) => {
      const next = samples[at + 1];
      const x = this.xOf(sample.t), end = this.xOf(next ? Math.min(next.t, sample.t + GAP_S) : sample.t + 1);
      const whole = sample.up && !sample.shards.includes(null), wrong = known && !whole;
      known = known || whole;
      const shaded = this.what.shade && sample.up && this.what.shade(sample);
      if (!wrong && !shaded) return;
      ink.globalAlpha = wrong ? 0.13 : 0.12;
      ink.fillStyle = css(wrong ? "--bad" : "--c0");
      ink.fillRect(x, this.top, Math.max(end - x, 1), this.bottom - this.top);
      ink.globalAlpha = 1;
    });
  }

  line(ink, times, row, color, below) {
    ink.strokeStyle = ink.fillStyle = color;
    ink.lineWidth = this.what.stacked ? 1.2 : 1.5;
    ink.lineJoin = "round";
    let part = [];
    const finish = () => {
      if (part.length === 1) {
        const at = part[0];
        ink.fillRect(this.xOf(times[at]) - 1, this.yOf(row[at]) - 1, 2, 2);
      } else if (part.length) {
        ink.beginPath();
        part.forEach((at, place) => ink[place ? "lineTo" : "moveTo"](this.xOf(times[at]), this.yOf(row[at])));
        ink.stroke();
        if (this.what.stacked || this.what.filled) {
          for (const at of part.slice().reverse()) {
            ink.lineTo(this.xOf(times[at]), below ? this.yOf(below[at] || 0) : this.bottom);
          }
          ink.globalAlpha = this.what.stacked ? 0.34 : 0.1;
          ink.fill();
          ink.globalAlpha = 1;
        }
      }
      part = [];
    };
    times.forEach((time, at) => {
      if (row[at] == null || (at && time - times[at - 1] > GAP_S)) finish();
      if (row[at] != null) part.push(at);
    });
    finish();
  }

  hovered(samples) {
    if (view.hover == null || !samples.length) return -1;
    let best = 0;
    samples.forEach((sample, at) => {
      if (Math.abs(sample.t - view.hover) < Math.abs(samples[best].t - view.hover)) best = at;
    });
    return best;
  }

  crosshair(ink, sample, series, rows, at) {
    const x = Math.round(this.xOf(sample.t)) + 0.5;
    ink.strokeStyle = css("--soft");
    ink.lineWidth = 1;
    ink.beginPath(); ink.moveTo(x, this.top); ink.lineTo(x, this.bottom); ink.stroke();
    rows.forEach((row, place) => {
      if (row[at] == null) return;
      ink.fillStyle = series[place].color;
      ink.beginPath(); ink.arc(x, this.yOf(row[at]), 3, 0, 7); ink.fill();
    });
    const text = format.clock(sample.t, true), half = ink.measureText(text).width / 2 + 5;
    const middle = Math.min(Math.max(x, this.left + half), this.right - half);
    ink.fillStyle = css("--card");
    ink.fillRect(middle - half, this.top - 8, 2 * half, 16);
    ink.fillStyle = css("--soft");
    ink.textAlign = "center";
    ink.fillText(text, middle, this.top + 4);
  }

  // The legend: its entries are made once, and then only their figures change.
  write(series, samples, at) {
    const shown = series.slice(0, LEGEND_MAX);
    if (this.entries.length !== shown.length) {
      this.legend.replaceChildren();
      this.entries = shown.map(() => {
        const entry = document.createElement("span");
        entry.append(document.createElement("i"), document.createElement("em"), document.createElement("b"));
        entry.children[1].style.fontStyle = "normal";
        this.legend.append(entry);
        return entry;
      });
    }
    const sample = samples[at];
    shown.forEach((one, place) => {
      const [square, name, value] = this.entries[place].children;
      square.style.background = one.color;
      name.textContent = one.name;
      value.textContent = this.what.unit(sample && sample.up ? one.of(sample) : null);
    });
  }
}

let frame = 0;
function redraw() {
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; for (const chart of view.charts) chart.draw(); });
}

new ResizeObserver(redraw).observe(document.documentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
